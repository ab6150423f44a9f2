-- rotate.lua replaces a key of the HTTP API by a new key with other random bits. The old key stays valid for a while.
-- KEYS: 1 keys by ID
-- ARGV, in the order of rotateArgs:
--   id          ID of the old key
--   read        record of the old key that the caller has read
--   until_then  new record of the old key with its earlier expiry, or '' to remove the old key at once
--   new_id      ID of the new key
--   new_record  record of the new key
-- Returns {'ok'|'changed'}. 'changed' means that the old key was revoked or rotated meanwhile. Then the script changes
-- nothing. A repeated run with the same new_id returns 'ok' and changes nothing.
local id, read, until_then, new_id, new_record = unpack(ARGV)
if redis.call('HGET', KEYS[1], new_id) == new_record then return {'ok'} end
if redis.call('HGET', KEYS[1], id) ~= read then return {'changed'} end
redis.call('HSET', KEYS[1], new_id, new_record)
if until_then == '' then redis.call('HDEL', KEYS[1], id) else redis.call('HSET', KEYS[1], id, until_then) end
return {'ok'}
