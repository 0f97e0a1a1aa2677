# The project as an unprivileged user: `docker build -t ebmrepro .`, then `docker run --rm ebmrepro`.
# docs/guide/disk.md says how to keep what it makes.
FROM python:3.12-slim-bookworm

# Debian removes a version when it mends it, so that pinning one would stop the build some day.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 reader
WORKDIR /srv/ebmrepro
RUN chown reader:reader .
# By number, so that whoever runs the image can see that it is not root's.
USER 1000

# The packages, some 7 GB, are a layer of their own: a change of the code does not install them anew.
COPY --chown=reader:reader Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY --chown=reader:reader ebmrepro/__init__.py ebmrepro/__init__.py
RUN make PYTHON=python3

COPY --chown=reader:reader . .
# DVC wants a repository: the copied one where there is one, else one of this image.
RUN git rev-parse --git-dir > /dev/null 2>&1 \
    || { git init --quiet && git add --all \
    && git -c user.name=reader -c user.email=reader@localhost commit --quiet --message "As copied"; }

ENV PATH=/srv/ebmrepro/.venv/bin:$PATH
EXPOSE 5000
CMD ["make", "repro"]
