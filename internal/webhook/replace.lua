-- replace.lua replaces the record of an endpoint, unless the record was changed or deleted since it was read.
-- KEYS: 1 endpoints of the HTTP API
-- ARGV, in the order of replaceArgs:
--   name
--   old   the record that was read
--   new   the record to write
-- Returns {'ok'|'changed'}. Running it again answers the same.
local name, old, new = unpack(ARGV)
local now = redis.call('HGET', KEYS[1], name)
if now == new then return {'ok'} end
if now ~= old then return {'changed'} end
redis.call('HSET', KEYS[1], name, new)
return {'ok'}
