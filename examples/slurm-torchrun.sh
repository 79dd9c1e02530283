#!/usr/bin/env bash
# Train the supernet of a study on several machines of a SLURM cluster, one process per accelerator:
#
#   sbatch --nodes=2 examples/slurm-torchrun.sh --study mobilenet --dataset cifar10 \
#     --set supernet.batch_size=256 --set supernet.bn_groups=8
#
# The number of processes, here 2 × 4, must divide supernet.bn_groups, and that the batch size.
# Submit it from the repository's folder with the virtual environment active, and let --runs be a
# folder that all machines share. The search that follows runs in process 0. A job that is cut off
# resumes when it is submitted again.
#SBATCH --job-name=supernet
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# SIGTERM a minute before the time is over, so that the program can save
#SBATCH --signal=TERM@60
set -euo pipefail

processes=${PROCESSES_PER_NODE:-${SLURM_GPUS_ON_NODE:-1}}
port=$((20000 + SLURM_JOB_ID % 20000))
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# one torchrun per machine; they find each other at the first one
srun torchrun \
    --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc_per_node="$processes" \
    --rdzv_id="$SLURM_JOB_ID" \
    --rdzv_backend=c10d \
    --rdzv_endpoint="$first:$port" \
    main.py "$@"
