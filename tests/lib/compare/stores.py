"""Connections to the four stores, by their official clients."""
import dataclasses
import os
import warnings

import neo4j.exceptions
import psycopg
import qdrant_client
import qdrant_client.http.exceptions
import redis

# What the clients raise when a store can't be reached or refuses.
CLIENT_ERRORS = (psycopg.Error, redis.RedisError,
                 qdrant_client.http.exceptions.ApiException,
                 neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError)


@dataclasses.dataclass
class Stores:
    postgres: psycopg.Connection
    qdrant: qdrant_client.QdrantClient
    neo4j: neo4j.Driver
    redis: redis.Redis
    collection: str = "documents"
    redis_prefix: str = "sagad:"
    neo4j_database: str = "neo4j"

    def close(self):
        self.postgres.close()
        self.qdrant.close()
        self.neo4j.close()
        self.redis.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(env=None):
    """Opens all four; raises the client's own error when one can't be had."""
    env = os.environ if env is None else env
    postgres = psycopg.connect(
        host=env.get("POSTGRES_HOST", "127.0.0.1"),
        port=env.get("POSTGRES_PORT", "5432"),
        user=env.get("POSTGRES_USER", "postgres"),
        password=env.get("POSTGRES_PASSWORD") or None,
        dbname=env.get("POSTGRES_DB", "postgres"),
        connect_timeout=10, autocommit=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Api key is used with an insecure")
        qdrant = qdrant_client.QdrantClient(
            host=env.get("QDRANT_HOST", "127.0.0.1"),
            port=int(env.get("QDRANT_PORT", "6333")), https=False,
            api_key=env.get("QDRANT_API_KEY") or None, prefer_grpc=False,
            check_compatibility=False, timeout=30)
    password = env.get("NEO4J_PASSWORD")
    graph = neo4j.GraphDatabase.driver(
        env.get("NEO4J_BOLT_URL", "bolt://127.0.0.1:7687"),
        auth=(env.get("NEO4J_USER", "neo4j"), password) if password else None,
        notifications_min_severity="OFF")
    graph.verify_connectivity()
    cache = redis.Redis.from_url(
        env.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
        decode_responses=True, socket_timeout=30)
    cache.ping()
    return Stores(postgres, qdrant, graph, cache)
