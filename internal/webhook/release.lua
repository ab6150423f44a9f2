-- release.lua ends a lease, so that another process can deliver immediately.
-- KEYS: 1 lease
-- ARGV, in the order of releaseArgs:
--   token  of the process that delivered
-- Returns {'ok'}. Running it again changes nothing.
local token = unpack(ARGV)
if redis.call('GET', KEYS[1]) == token then redis.call('DEL', KEYS[1]) end
return {'ok'}
