-- purge.lua removes a campaign that ended long ago. It leaves a tombstone, so that an enqueue with the same id still
-- changes nothing. A campaign whose id is free (is_free in prelude.lua) leaves no tombstone.
-- KEYS: 1 ledger, 2 open set, 3 spec, 4 tombstone, 5 quarantined records, 6 quarantined work
-- ARGV, in the order of purgeArgs:
--   ended_before    in ms: the campaign is removed if it ended before this time
--   tombstone_life  seconds for which the tombstone is kept
-- Returns {'purged'|'kept'|'missing'|'newer'}. Only the run that answers 'purged' changes anything.
local ended_before, tombstone_life = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
local fin = get('fin')
if not fin or tonumber(fin) > tonumber(ended_before) or get('rt') then return {'kept'} end
if not is_free() then
  redis.call('SET', KEYS[4], get('hash') .. ' ' .. get('at') .. ' ' .. get('total'), 'EX', tombstone_life)
end
if num('delivered') + num('undelivered') > 0 then
  -- The overlay of delivery reports (report.lua). Its keys are in the slot of the campaign.
  local base = string.sub(L, 1, -2)
  redis.call('UNLINK', base .. 'dt')
  for page = 0, math.ceil(num('total') / 16000) - 1 do redis.call('UNLINK', base .. 'd:' .. int(page)) end
end
redis.call('UNLINK', L, O, KEYS[3], KEYS[5], KEYS[6])
return {'purged'}
