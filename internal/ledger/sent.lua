-- sent.lua records the ids of messages that a gateway has accepted, as seven bytes of a hash each.
-- KEYS: 1 ids of one time span under one login
-- ARGV: 1 hashes, 2 ms for which they are kept
-- Returns {'noted'}. Running it again is harmless.
redis.call('APPEND', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'noted'}
