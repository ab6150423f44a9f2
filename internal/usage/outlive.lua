-- outlive.lua keeps the counted totals of a removed campaign for a while, so that a count that is still running adds
-- nothing.
-- KEYS: 1 counted totals of the campaign; for a single message also 2, a hash with the counted totals of many messages
-- ARGV, in the order of outliveArgs:
--   life  ms
--   id    of the campaign
-- Returns {'done'}. Running it again changes only the time of the removal.
local life, id = unpack(ARGV)
local state = KEYS[2] and redis.call('HGET', KEYS[2], id)
if state then
  redis.call('SET', KEYS[1], state, 'PX', life)
  redis.call('HDEL', KEYS[2], id)
else
  redis.call('PEXPIRE', KEYS[1], life)
end
return {'done'}
