"""Find faces in images and bring them onto one template.

Importing this package loads torch and OpenCV; nothing that must start quickly imports it.
"""

from ferkit.faces.align import align_faces, similarity_from_points
from ferkit.faces.detect import Detections, FaceDetector
from ferkit.faces.template import CROP_SIZE, TEMPLATE, TEMPLATE_NAME

__all__ = [
    "CROP_SIZE",
    "TEMPLATE",
    "TEMPLATE_NAME",
    "Detections",
    "FaceDetector",
    "align_faces",
    "similarity_from_points",
]
