#!/bin/bash
# Train the supernet of a study on several machines of a SLURM cluster, one process per accelerator:
#
#     sbatch --nodes=2 examples/slurm-torchrun.sh --study mobilenet --dataset cifar10 --set supernet.bn_groups=8
#
# The number of processes, here 2 machines with 4 accelerators each, has to divide bn_groups.
# Submit it from the repository's folder, with its virtual environment active; let the runs folder be
# one that all machines share. The search that follows runs on the machine of rank 0. A job that is
# cut off goes on when it is submitted again.
#SBATCH --job-name=supernet
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
# SIGTERM to the programs themselves a minute before the time is over, in which they save
#SBATCH --signal=TERM@60
set -euo pipefail

processes=${PROCESSES_PER_NODE:-${SLURM_GPUS_ON_NODE:-1}}
port=$((20000 + SLURM_JOB_ID % 20000))
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# one torchrun a machine; they find each other at the first one
srun torchrun \
    --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc_per_node="$processes" \
    --rdzv_id="$SLURM_JOB_ID" \
    --rdzv_backend=c10d \
    --rdzv_endpoint="$first:$port" \
    main.py "$@"
