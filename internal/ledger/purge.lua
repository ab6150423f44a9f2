-- purge.lua removes a campaign that ended long ago and leaves a tombstone, so that its id still changes nothing.
-- KEYS: 1 ledger, 2 open set, 3 spec, 4 tombstone, 5 and 6 what was set aside
-- ARGV: 1 remove what ended before this ms, 2 seconds the tombstone stays
-- Returns {'purged'|'kept'|'missing'|'newer'}
local bad = unfit()
if bad then return {bad} end
local fin = get('fin')
if not fin or tonumber(fin) > tonumber(ARGV[1]) or get('rt') then return {'kept'} end
redis.call('SET', KEYS[4], get('hash') .. ' ' .. get('at') .. ' ' .. get('total'), 'EX', ARGV[2])
redis.call('UNLINK', L, O, KEYS[3], KEYS[5], KEYS[6])
return {'purged'}
