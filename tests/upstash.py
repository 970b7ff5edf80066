"""A Valkey that takes what Upstash takes: a user of the real one who may send the commands on its table.

The table: https://upstash.com/docs/redis/overall/rediscompatibility, without its families that we have no use for
(bitmaps, geography, JSON, lists); INFO has a page of its own there. CONFIG and CLIENT are not on it.
"""

from urllib.parse import urlsplit

import redis

TABLE = """
APPEND DECR DECRBY GET GETDEL GETEX GETRANGE GETSET INCR INCRBY INCRBYFLOAT MGET MSET MSETNX PSETEX SET SETEX SETNX
SETRANGE STRLEN HDEL HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HSCAN HSET HSETNX HSTRLEN
HRANDFIELD HVALS SADD SCARD SDIFF SDIFFSTORE SINTER SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SPOP SRANDMEMBER
SREM SSCAN SUNION ZADD ZCARD ZCOUNT ZDIFF ZINCRBY ZINTER ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE
ZRANGESTORE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE
ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE EVAL EVALSHA SCRIPT|EXISTS SCRIPT|LOAD SCRIPT|FLUSH SUBSCRIBE PSUBSCRIBE
UNSUBSCRIBE PUNSUBSCRIBE PUBLISH PUBSUB DISCARD EXEC MULTI UNWATCH WATCH COPY DEL EXISTS EXPIRE EXPIREAT KEYS PERSIST
PEXPIRE PEXPIREAT PTTL RANDOMKEY RENAME RENAMENX SCAN TOUCH TTL TYPE UNLINK AUTH HELLO ECHO PING QUIT RESET SELECT ACL
DBSIZE FLUSHALL FLUSHDB TIME INFO XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP XINFO|GROUPS XINFO|CONSUMERS XLEN XPENDING
XRANGE XREAD XREADGROUP XREVRANGE XTRIM
""".split()  # noqa: SIM905 (a table is read more easily as one)

PASSWORD = "a-hosted-password"


def user_of(valkey, name="default-of-a-host"):
    """Make that user in a Valkey; return its address for them, without TLS."""
    with redis.Redis.from_url(valkey) as administrator:
        may = [f"+{command.lower()}" for command in TABLE]
        administrator.execute_command("ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", "~*", "&*", *may)
    address = urlsplit(valkey)
    return address._replace(netloc=f"{name}:{PASSWORD}@{address.hostname}:{address.port}").geturl()
