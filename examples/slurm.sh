#!/usr/bin/env bash
# Search workers as a SLURM job array, one process each. The main command runs on a machine that
# stays: it trains the supernet, searches too, and reports at the end.
#
#   export BNNAS_STORAGE=postgresql://USER@HOST/DATABASE    # the password in ~/.pgpass or PGPASSWORD
#   python main.py --study mobilenet --trials 5000 --runs /shared/runs &
#   sbatch --array=0-15 examples/slurm.sh mobilenet /shared/runs/mobilenet
#
# sbatch passes on the environment, and with it the database and the virtual environment. Workers
# wait up to an hour for the supernet.
#SBATCH --job-name=bnnas-worker
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=bnnas-worker-%A_%a.log
set -euo pipefail

study=${1:?the name of the study}
supernet=${2:?the folder of its supernet.pt and reference.json}
: "${BNNAS_STORAGE:?the URL of the database}"

# a worker keeps pixels that exceed the memory on its own disk
runs=$(mktemp -d "${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/bnnas.XXXXXX")
trap 'rm -rf "$runs"' EXIT

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
srun python main.py worker --study "$study" --supernet "$supernet" --runs "$runs" --wait 3600
