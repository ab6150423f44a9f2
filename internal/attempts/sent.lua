-- sent.lua records the ids of messages that a gateway has accepted. Of each id it stores seven bytes of a hash.
-- KEYS: 1 ids of one time span under one login
-- ARGV, in the order of sentArgs:
--   hashes
--   life    ms for which the ids are kept
-- Returns {'noted'}. Running it again is harmless.
local hashes, life = unpack(ARGV)
redis.call('APPEND', KEYS[1], hashes)
redis.call('PEXPIRE', KEYS[1], life)
return {'noted'}
