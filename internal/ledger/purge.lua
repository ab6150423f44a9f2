-- purge.lua removes a campaign that ended long ago. It leaves a tombstone, so that an enqueue with the same id still
-- changes nothing.
-- KEYS: 1 ledger, 2 open set, 3 spec, 4 tombstone, 5 quarantined records, 6 quarantined work
-- ARGV: 1 remove the campaign if it ended before this time in ms, 2 seconds for which the tombstone is kept
-- Returns {'purged'|'kept'|'missing'|'newer'}. Only 'purged' changes anything.
local bad = unfit()
if bad then return {bad} end
local fin = get('fin')
if not fin or tonumber(fin) > tonumber(ARGV[1]) or get('rt') then return {'kept'} end
redis.call('SET', KEYS[4], get('hash') .. ' ' .. get('at') .. ' ' .. get('total'), 'EX', ARGV[2])
redis.call('UNLINK', L, O, KEYS[3], KEYS[5], KEYS[6])
return {'purged'}
