# The server and the reference agent. `docker build -t portcullis .`

FROM node:22-bookworm-slim AS console
WORKDIR /src
COPY api-schema api-schema
COPY services/console services/console
RUN npm --prefix services/console ci --no-audit --no-fund && npm --prefix services/console run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=console /src/services/console/dist services/console/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package portcullis --package portcullis-agent --bins \
    && install -D -t /out target/release/portcullis target/release/portcullis-agent

# A C library, certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
ENV PORTCULLIS_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["serve"]
