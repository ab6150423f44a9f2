-- sent.lua notes the ids of messages that a gateway has accepted, seven bytes of a hash each.
-- KEYS: 1 the ids of a span of time under a login
-- ARGV: 1 hashes, 2 ms for which they are kept
-- Returns {'noted'}. The same again does no harm.
redis.call('APPEND', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'noted'}
