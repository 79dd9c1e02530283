"""Classify a picture with an exported network: python classify.py model.onnx picture.jpg"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model, picture = map(Path, sys.argv[1:])
about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
size, mean, std = (about["input"][key] for key in ("size", "mean", "std"))
image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
pixels = np.float32(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)) / 255
batch = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
(logits,) = onnxruntime.InferenceSession(model).run(["scores"], {"images": batch})[0]
shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
for i in shares.argsort()[::-1][:3]:
    print(f"{shares[i]:6.1%}  {about['classes'][i]}")
