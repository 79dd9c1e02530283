# The program with what it needs for PostgreSQL; see compose.yaml and docs/scaling.md.
FROM python:3.11-slim
WORKDIR /bnnas
COPY requirements.txt requirements-postgresql.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-postgresql.txt
COPY main.py ./
COPY app app
COPY spaces spaces
COPY studies studies
ENTRYPOINT ["python", "main.py"]
