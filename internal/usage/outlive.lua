-- outlive.lua keeps the counted totals of a removed campaign for a while. Another process may still be counting the
-- usage of this campaign. That process reads these totals and adds nothing.
-- KEYS: 1 counted totals of the campaign; for a single message also 2, a hash with the counted totals of many messages
-- ARGV, in the order of outliveArgs:
--   life  ms
--   id    of the campaign
-- Returns {'done'}. Running it again only extends the time for which the totals are kept.
local life, id = unpack(ARGV)
local state = KEYS[2] and redis.call('HGET', KEYS[2], id)
if state then
  redis.call('SET', KEYS[1], state, 'PX', life)
  redis.call('HDEL', KEYS[2], id)
else
  redis.call('PEXPIRE', KEYS[1], life)
end
return {'done'}
