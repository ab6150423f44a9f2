-- exclude.lua tells an open campaign of numbers that must not be claimed any more.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 token, 2 the list that they are on, 3 the numbers, or '*': whoever is on the list now
-- Returns {'excluded', calls in flight, recipients in flight} | {'over'|'missing'|'newer'}. From then on a claim is told 'go' only by who has read this.
-- A campaign that is over takes none: a retry reads the lists itself. The token that was there last is answered the same again.
local bad = unfit()
if bad then return {bad} end
if get('fin') then return {'over'} end
local ex = words(get('ex') or '0 -')
if ex[2] ~= ARGV[1] then
  local n = int(tonumber(ex[1]) + 1)
  set('ex', n .. ' ' .. ARGV[1], 'e' .. n, ARGV[1] .. '\n' .. ARGV[2] .. '\n' .. ARGV[3])
end
return {'excluded', int(num('flyc')), int(num('fly'))}
