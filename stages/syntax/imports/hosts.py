"""Decides which modules no distribution brings, because the program that runs a script supplies them."""

from __future__ import annotations

_BY_HOST = {
    "Blender": ("bpy", "bpy_extras", "bpy_types", "bmesh", "mathutils", "bgl", "blf", "gpu_extras", "idprop", "imbuf"),
    "Maya": ("maya",),
    "Houdini": ("hou", "toolutils"),
    "Nuke": ("nuke", "nukescripts"),
    "MotionBuilder": ("pyfbsdk",),
    "Cinema 4D": ("c4d",),
    "3ds Max": ("pymxs", "MaxPlus"),
    "Unreal Engine": ("unreal",),
    "FreeCAD": ("FreeCAD", "FreeCADGui"),
    "Fusion 360": ("adsk",),
    "Rhino": ("Rhino", "rhinoscriptsyntax", "scriptcontext"),
    "GIMP": ("gimp", "gimpfu", "gimpenums"),
    "QGIS": ("qgis",),
    "ArcGIS": ("arcpy",),
    "KiCad": ("pcbnew",),
    "NVIDIA Omniverse": ("omni", "carb"),
    "Triton Inference Server": ("triton_python_backend_utils", "c_python_backend_utils"),
    "GDB": ("gdb",),
    "LLDB": ("lldb",),
    "IDA": ("idaapi", "idautils", "idc"),
    "Ghidra": ("ghidra",),
    "Binary Ninja": ("binaryninja",),
    "Vim": ("vim",),
    "Sublime Text": ("sublime", "sublime_plugin"),
    "uWSGI": ("uwsgi", "uwsgidecorators"),
    "Pyodide": ("js", "pyodide_js"),
    "Kodi": ("xbmc", "xbmcgui", "xbmcaddon", "xbmcplugin", "xbmcvfs"),
    "Kaggle": ("kaggle_secrets", "kaggle_web_client"),
    "Colab": ("google.colab",),
}
_HOSTS = {module: host for host, modules in _BY_HOST.items() for module in modules}


_KERNEL = frozenset({"IPython", "ipykernel", "traitlets", "jupyter_client", "jupyter_core"})  # of every notebook


def host_of(path: str, module: str) -> str | None:
    """Return the program that supplies a module to a file; the module is given as far as it was looked for."""
    top = module.partition(".")[0]
    if top in _KERNEL and (path.endswith(".ipynb") or path.rpartition("/")[2].startswith(("jupyter", "ipython"))):
        return "Jupyter"
    return _HOSTS.get(module) or _HOSTS.get(top)
