-- exclude.lua records in an open campaign which numbers have opted out and must not be claimed any more.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of excludeArgs:
--   token
--   list     suppression list that the numbers are on
--   numbers  or '*' for every number on the list
-- Returns {'excluded', calls in flight, recipients in flight} | {'over'|'missing'|'newer'}
-- From then on a claim is granted only to callers that have read this entry. A finished campaign ('over') does not
-- change: a retry reads the lists itself. A repeated run with the token of the last entry returns the same answer.
local token, list, numbers = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if get('fin') then return {'over'} end
local ex = words(get('ex') or '0 -')
if ex[2] ~= token then
  local n = int(tonumber(ex[1]) + 1)
  set('ex', n .. ' ' .. token, 'e' .. n, token .. '\n' .. list .. '\n' .. numbers)
end
return {'excluded', int(num('flyc')), int(num('fly'))}
