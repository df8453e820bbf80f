#!/bin/sh
# From a plan of the cost to ParaView, on the command line. Run it in an empty folder, with the path of this one:
#   sh path/to/examples/engineer.sh path/to/examples
set -eu
job="$1/my_model.py:objective"

lossatlas evaluate "$job" --set epochs=30 --dry-run      # what the run below would cost and show; writes nothing

# Stopped in the middle, by Ctrl-C or here by its signal; the same command continues and computes no cell twice.
timeout -s INT 8 lossatlas evaluate "$job" --set epochs=30 --archive my.zarr --resolution 51x41 --metrics loss,accuracy || true
lossatlas evaluate "$job" --set epochs=30 --archive my.zarr --resolution 51x41 --metrics loss,accuracy
lossatlas plot my.zarr --out my.png
lossatlas view my.zarr --export my.html
lossatlas export my.zarr --to vtp --out my.vtp           # for ParaView: every metric, and the paths on the surface

# Checkpoints that a training left in a folder (.ckpt of Lightning, .safetensors and save_pretrained likewise): the landscape under their path.
python "$1/save_checkpoints.py"
lossatlas evaluate "$job" --checkpoints 'checkpoints/*.pt' --archive path.zarr --resolution 15x11
lossatlas plot path.zarr --out path.png
lossatlas export path.zarr --to vtp --out path.vtp
