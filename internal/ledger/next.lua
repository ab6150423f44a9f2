-- next.lua settles a call all of whose recipients were accepted, and claims the next of its batch, as settle.lua and claim.lua would
-- one after the other, to the byte: both, where both are as simple as they mostly are, or it writes nothing. It is refused by a full
-- Redis like a claim; then settle.lua, which is not, has to be asked. It runs once a call, and does nothing that it can do without.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 token, 2 batch, 3 call (its generation 0, uncut), 4 recipients, 5 one [status][length][detail] each, 6 segments a message,
--       7 token of the next claim, 8 wake (0: not checked), 9 next call (its generation 0, never claimed), 10 recipients of it, 11 lease ms,
--       12 uuid, 13 login, 14 the spans of time in which it may go, 15 the version of the campaign's opt-outs, both as in claim.lua
-- Returns what claim.lua answers with 'go', or {'apart'}: nothing was written, ask settle.lua and claim.lua. The same tokens are
-- answered the same again, for as long as the next claim holds.
local L, token, b, mine, lease = KEYS[1], ARGV[1], ARGV[2], ARGV[7], tonumber(ARGV[11])
local int, match = string.format, string.match
local this, result, other = 'g' .. b .. '.' .. ARGV[3] .. '.0', 'r' .. b .. '.' .. ARGV[3], 'g' .. b .. '.' .. ARGV[9] .. '.0'
local v = redis.call('HMGET', L, 'v', this, other, 'stop', 'paused', 'exp', 'w' .. b, result, 'l' .. b, 'pending', 'fly', 'accepted',
  'seg', 'calls', 'per', 'lim', 'ex')
if v[1] ~= '1' or not v[2] or (v[4] or v[5]) and not v[3] then return {'apart'} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local stamp = int('%d', now)
local first, uuid

if v[3] then
  -- Said again: settled by this token, claimed by that, and nothing since.
  local was
  was, first, uuid = match(v[3], '^s (%S+) %d+ (%d+) %d+ 0 0 0 0 (%S+) %S+ 0 %d+ 1$')
  if was ~= mine or match(v[2], '^t %S+ %d+ (%S+) %d+$') ~= string.sub(token, 1, 6) then return {'apart'} end
  redis.call('HSET', L, other, (string.gsub(v[3], '^(s %S+) %d+', '%1 ' .. int('%d', now + lease))))
else
  -- The record's words (prelude.lua): state, token, lease, claimed, first, tries, bad, doubt, revision, uuid, login, due, size, claims.
  local was, before, size, claims = match(v[2], '^s (%S+) %d+ %d+ %d+ %d+ %d+ 0 %d+ (%S+) %S+ %d+ (%d+) (%d+)$')
  if was ~= token or size ~= ARGV[4] or v[8] or (v[17] or '') ~= ARGV[15] then return {'apart'} end
  if v[16] then return {'apart'} end -- a limit on what is rejected is judged with every settle
  if v[6] and now >= (tonumber(v[6]) or 0) or ARGV[8] ~= '0' and (tonumber(v[7] or 0) or 1 / 0) > tonumber(ARGV[8]) then return {'apart'} end
  if ARGV[14] ~= '' then
    local open = false
    for from, till in string.gmatch(ARGV[14], '(%d+) (%d+)') do open = open or now >= tonumber(from) and now < tonumber(till) end
    if not open then return {'apart'} end
  end
  local n, m = ARGV[4] + 0, ARGV[10] + 0
  local left, pending, fly = (v[9] or 0) - 1, (v[10] or 0) - n, (v[11] or 0) - n
  -- What ends the batch or the campaign has more to do. What is no number ends the script here, before it has written anything.
  if left < 1 or pending < m or fly < 0 then return {'apart'} end
  local lanes = {}
  if v[15] then
    local a = match(b, '^%d+')
    lanes = {'accepted:' .. a, 'fly:' .. a}
    local w = redis.call('HMGET', L, lanes[1], lanes[2])
    lanes = {lanes[1], int('%d', (w[1] or 0) + n), lanes[2], int('%d', (w[2] or 0) - n + m)}
  end
  first, uuid = stamp, ARGV[12]
  redis.call('HSET', L, result, ARGV[5], this, 't ' .. before .. ' ' .. stamp .. ' ' .. string.sub(token, 1, 6) .. ' ' .. claims,
    other, 's ' .. mine .. ' ' .. int('%d', now + lease) .. ' ' .. stamp .. ' ' .. stamp .. ' 0 0 0 0 ' .. uuid .. ' ' .. ARGV[13] .. ' 0 ' .. ARGV[10] .. ' 1',
    'l' .. b, int('%d', left), 'pending', int('%d', pending), 'fly', int('%d', fly + m), 'accepted', int('%d', (v[12] or 0) + n),
    'seg', int('%d', (v[13] or 0) + n * ARGV[6]), 'calls', int('%d', (v[14] or 0) + 1), unpack(lanes))
end
if redis.call('ZADD', KEYS[2], int('%d', now + lease + 1000), b) == 1 then redis.call('HINCRBY', L, 'ob:' .. match(b, '^%d+'), 1) end
return {'go', uuid, '0', first, first, '0', '1'}
