-- exclude.lua records in an open campaign which numbers have opted out and must not be claimed any more.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of excludeArgs:
--   token
--   list     suppression list that the numbers are on
--   numbers  each with a space after it; or '*' for every number on the list
-- Returns {'excluded', calls in flight, recipients in flight} | {'over'|'missing'|'newer'}
-- From then on, a caller that has not read this entry gets a claim only if the entry names none of the caller's
-- recipients. A finished campaign ('over') does not change: a retry reads the lists itself. A repeated run with the
-- token of the last entry returns the same answer. If one of the last 500 entries has the same list and the same
-- numbers, the script does not write another entry, because gateways repeat an opt-out until they get an answer.
local token, list, numbers = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end
if get('fin') then return {'over'} end

-- is_known reports whether a recent entry has the same list and the same numbers. For '*' it returns false, because the
-- list may have more numbers now than at the time of the earlier entry.
local function is_known(last)
  if numbers == '*' or last == 0 then return false end
  local fields, same = {}, '\n' .. list .. '\n' .. numbers
  for n = math.max(1, last - 499), last do fields[#fields + 1] = 'e' .. n end
  for _, entry in ipairs(redis.call('HMGET', L, unpack(fields))) do
    if entry and string.sub(entry, -#same) == same then return true end
  end
  return false
end

local ex = words(get('ex') or '0 -')
local last = tonumber(ex[1])
if ex[2] ~= token and not is_known(last) then
  local n = int(last + 1)
  set('ex', n .. ' ' .. token, 'e' .. n, token .. '\n' .. list .. '\n' .. numbers)
end
return {'excluded', int(num('flyc')), int(num('fly'))}
