"""ferkit: find the same expression on another person.

Every command of ``ferkit`` is a function here; ``help(ferkit.retrieve)`` tells its arguments::

    import ferkit

    ferkit.align("photos/", "faces/")
    ferkit.embed("faces/", "emb.npy")
    for hit in ferkit.retrieve("query.jpg", "emb.npy").hits:
        print(hit.score, hit.source)

What a user can mend is a `FerkitError`, whose text is one sentence. Nothing is printed; what the command line would say
goes to the logger ``ferkit``. Importing ferkit loads nothing heavy; torch and the rest come with the first function
that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferkit._version import __version__
from ferkit.errors import FerkitError

if TYPE_CHECKING:
    from ferkit.encoders.encoder import load_encoder
    from ferkit.encoders.export import export_encoder
    from ferkit.encoders.hub_push import push_encoder
    from ferkit.encoders.hub_repo import pull_encoder
    from ferkit.encoders.importing.import_encoder import import_encoder
    from ferkit.encoders.licences import list_licences
    from ferkit.search.searcher import Searcher
    from ferkit.web.server import serve
    from ferkit.workflows.align import align, align_parts
    from ferkit.workflows.best import best
    from ferkit.workflows.compare import compare
    from ferkit.workflows.demo import demo
    from ferkit.workflows.embed import embed, embed_parts
    from ferkit.workflows.export import export
    from ferkit.workflows.faces import faces_info, filter_faces, merge_faces
    from ferkit.workflows.faces_split import split_faces
    from ferkit.workflows.find_faces import find_faces
    from ferkit.workflows.models import encoder_card, list_encoders, show_encoder
    from ferkit.workflows.moments import moments
    from ferkit.workflows.pretrain import pretrain
    from ferkit.workflows.probe import probe
    from ferkit.workflows.recognise import recognise
    from ferkit.workflows.retrieve import retrieve
    from ferkit.workflows.timeline import timeline
    from ferkit.workflows.warp_preview import warp_preview

__all__ = [
    "FerkitError",
    "Searcher",
    "__version__",
    "align",
    "align_parts",
    "best",
    "compare",
    "demo",
    "embed",
    "embed_parts",
    "encoder_card",
    "export",
    "export_encoder",
    "faces_info",
    "filter_faces",
    "find_faces",
    "import_encoder",
    "index",
    "list_encoders",
    "list_licences",
    "load_encoder",
    "merge_faces",
    "moments",
    "pretrain",
    "probe",
    "pull_encoder",
    "push_encoder",
    "recognise",
    "retrieve",
    "serve",
    "show_encoder",
    "split_faces",
    "timeline",
    "warp_preview",
]

_HOMES = {
    "Searcher": "ferkit.search.searcher",
    "align": "ferkit.workflows.align",
    "align_parts": "ferkit.workflows.align",
    "best": "ferkit.workflows.best",
    "compare": "ferkit.workflows.compare",
    "demo": "ferkit.workflows.demo",
    "embed": "ferkit.workflows.embed",
    "embed_parts": "ferkit.workflows.embed",
    "encoder_card": "ferkit.workflows.models",
    "export": "ferkit.workflows.export",
    "export_encoder": "ferkit.encoders.export",
    "faces_info": "ferkit.workflows.faces",
    "filter_faces": "ferkit.workflows.faces",
    "find_faces": "ferkit.workflows.find_faces",
    "index": "ferkit.workflows.index",
    "import_encoder": "ferkit.encoders.importing.import_encoder",
    "list_encoders": "ferkit.workflows.models",
    "list_licences": "ferkit.encoders.licences",
    "load_encoder": "ferkit.encoders.encoder",
    "merge_faces": "ferkit.workflows.faces",
    "moments": "ferkit.workflows.moments",
    "pretrain": "ferkit.workflows.pretrain",
    "pull_encoder": "ferkit.encoders.hub_repo",
    "push_encoder": "ferkit.encoders.hub_push",
    "probe": "ferkit.workflows.probe",
    "recognise": "ferkit.workflows.recognise",
    "retrieve": "ferkit.workflows.retrieve",
    "serve": "ferkit.web.server",
    "show_encoder": "ferkit.workflows.models",
    "split_faces": "ferkit.workflows.faces_split",
    "timeline": "ferkit.workflows.timeline",
    "warp_preview": "ferkit.workflows.warp_preview",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module 'ferkit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return __all__
