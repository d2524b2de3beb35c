"""Decides what is known of distributions that are not installed: what they bring, and who is never imported."""

from __future__ import annotations

from stages._source.patterns import late

_SAME_NAME = """
accelerate addict aiofiles aiohttp albumentations altair apscheduler audioread av bitsandbytes black bokeh boto3
botocore cachetools catboost celery chardet click cloudpickle colorlog contexttimer cycler dask datasets decord
deepspeed diffusers dill docker docopt dominate easydict editdistance einops emoji evaluate fairscale fairseq fastai
fastapi fasttext filelock flask fsspec ftfy fvcore gdown gensim geopandas gradio graphviz gym gymnasium h5py httpx
huggingface-hub humanize hyperopt imageio imgaug imutils inflect iopath jax jaxlib jieba jinja2 jiwer joblib jsonlines
jsonschema keras kornia langdetect langid lightgbm linformer llvmlite lmdb loguru loralib lpips markdown matplotlib
mlflow mmcv mmengine monai moviepy mpi4py msgpack natsort networkx nibabel ninja nltk nmslib numba numexpr numpy
omegaconf onnx open3d openai optuna orjson packaging pandas parameterized pathos peft phonemizer pika plotly plyfile
polars portalocker prettytable prometheus-client psutil pyarrow pyclipper pycocotools pydantic pydicom pydub pyglet
pyloudnorm pymongo pypinyin pyrallis pytorch-fid pytorch-lightning pytorch-msssim pyworld rapidfuzz ray redis regex
requests resampy responses rich sacrebleu sacremoses safetensors scipy seaborn segmentation-models-pytorch
sentence-transformers sentencepiece seqeval simplejson skorch soundfile spacy sqlalchemy statsmodels submitit sympy
tabulate tenacity termcolor texttable thop tiktoken timm tokenizers toml toolz torch torch-fidelity torchaudio
torchdiffeq torchmetrics torchsummary torchtext torchvision tornado tqdm transformers trimesh typeguard typer ujson
urllib3 visdom wandb webdataset xgboost xlrd xmltodict yacs yapf youtokentome zstandard
"""
_NEVER_IMPORTED = """
accelerate aiohttp aiomysql aiosqlite ale-py appdirs asyncpg atari-py autorom av bert-score bitsandbytes black boto3
botocore box2d box2d-py brotli certifi chromadb cmake colorama cryptography cupy cython dask decord deepspeed einops
email-validator fairscale fastparquet flake8 flash-attn flax fsspec ftfy future gdown graphviz gunicorn gym-notices
h5netcdf h5py hdf5plugin hf-transfer hf-xet html5lib huggingface-hub hydra-colorlog hydra-core hydra-joblib-launcher
hydra-submitit-launcher imageio imageio-ffmpeg importlib-metadata ipykernel ipython ipywidgets isort itk jax jaxlib
jinja2 jiwer jupyter jupyterlab kaleido keras llvmlite lmdb lxml mkl moviepy mpi4py msgpack mujoco mujoco-py mypy
netcdf4 nibabel ninja nltk notebook numba numexpr numpy nvidia-ml-py odfpy onnx onnxruntime onnxruntime-gpu openpyxl
opt-einsum optree orjson packaging pandoc phonemizer pillow pip portalocker pre-commit prodigyopt protobuf psycopg
psycopg2 psycopg2-binary pyaml pyarrow pybullet pycocotools pycodestyle pydicom pydocstyle pydot pyflakes pygame
pylint pymysql pynvml pyopenssl pypdf pypdf2 pyqt5 pyqt6 pyright pyside6 pysocks pytables pytest python-dotenv
python-multipart pytorch-triton pyyaml rouge-score ruff s3fs sacrebleu sacremoses safetensors scikit-learn scipy
sentence-transformers sentencepiece seqeval setuptools setuptools-scm shimmy six soundfile sox sphinx swig tables
tensorboard tensorboardx tensorrt thrift tiktoken timm tokenizers torch torchaudio torchvision tornado tox triton
twine typing-extensions ujson urllib3 uvicorn uvloop websockets wheel xformers xlrd xlsxwriter yapf zarr zstandard
"""

# distributions whose one top-level module has their own name, hyphens written as underscores
SAME_NAME = frozenset(_SAME_NAME.split())

# other ways in than an import: what torch, pandas, transformers, plotting and the like load for themselves when they
# find it, tools that are started by name, and what is pinned for the sake of another
NEVER_IMPORTED = frozenset(_NEVER_IMPORTED.split())

# families that are plugged in, run by name or read by type checkers
PLUGGED_IN = late(
    r"(?:types|pytest|flake8|sphinx|sphinxcontrib|jupyter|jupyterlab|mkdocs|nvidia|cuda|pylint|mypy|hydra|backports"
    r"|opentelemetry|tensorflow|google|azure|zope|nb|dvc|ruff|hatch|poetry|setuptools|pytorch-triton)-"
    r"|.*-(?:stubs|plugin|cli|extension|launcher|theme|binary|cu\d+)\Z"
)
