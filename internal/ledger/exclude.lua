-- exclude.lua records in an open campaign which numbers have opted out and must not be claimed any more.
-- KEYS: 1 ledger, 2 open set
-- ARGV:
--   1  token
--   2  suppression list that the numbers are on
--   3  the numbers, or '*' for every number on the list
-- Returns {'excluded', calls in flight, recipients in flight} | {'over'|'missing'|'newer'}
-- From then on a claim is granted only to callers that have read this entry. A finished campaign ('over') does not
-- change: a retry reads the lists itself. The token of the last entry gets the same answer again.
local bad = unfit()
if bad then return {bad} end
if get('fin') then return {'over'} end
local ex = words(get('ex') or '0 -')
if ex[2] ~= ARGV[1] then
  local n = int(tonumber(ex[1]) + 1)
  set('ex', n .. ' ' .. ARGV[1], 'e' .. n, ARGV[1] .. '\n' .. ARGV[2] .. '\n' .. ARGV[3])
end
return {'excluded', int(num('flyc')), int(num('fly'))}
