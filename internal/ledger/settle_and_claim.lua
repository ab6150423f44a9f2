-- next.lua settles calls all of whose recipients were accepted, and claims for each another call of its batch, as settle.lua and
-- claim.lua would one after the other, to the byte. A call for which not both is as simple as it mostly is, is left as it is. The calls
-- are many slots', so that what they share is read and written once. It is refused by a full Redis like a claim; then settle.lua,
-- which is not, has to be asked. It runs once a call where slots are few, and does nothing that it can do without.
-- KEYS: 1 ledger, 2 open set
-- ARGV: 1 lease ms, 2 login, 3 the spans of time in which it may go, 4 the version of the campaign's opt-outs, both as in claim.lua;
--       then of each: 1 token, 2 batch, 3 call (its generation 0, uncut), 4 recipients, 5 one [status][length][detail] each, 6 segments a
--       message, 7 wake (0: not checked), 8 token of the next claim, 9 next call (its generation 0, never claimed), 10 recipients of it,
--       11 uuid
-- Returns of each the uuid and when it was claimed, told 'go', or '': nothing was written, ask settle.lua and claim.lua. The same tokens
-- are answered the same again, for as long as the next claim holds.
local L, lease, login, version = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[4]
local int, match, sub, each, head, own = string.format, string.match, string.sub, 11, 4, 12
local fields = {'v', 'stop', 'paused', 'exp', 'ex', 'lim', 'per', 'pending', 'fly', 'accepted', 'seg', 'calls'}
for i = head, #ARGV - each, each do
  local b, k = ARGV[i + 2], #fields
  fields[k + 1], fields[k + 2], fields[k + 3] = 'g' .. b .. '.' .. ARGV[i + 3] .. '.0', 'r' .. b .. '.' .. ARGV[i + 3], 'g' .. b .. '.' .. ARGV[i + 9] .. '.0'
  fields[k + 4], fields[k + 5] = 'w' .. b, 'l' .. b
end
local v = redis.call('HMGET', L, unpack(fields))
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local stamp, due = int('%d', now), int('%d', now + lease)

-- What holds for all of them: a limit on what is rejected is judged with every settle, and what is no number is for others to name.
local function whole(x)
  if not x then return 0 end
  return match(x, '^%d+$') and tonumber(x)
end
local pending, fly, accepted, seg, calls = whole(v[8]), whole(v[9]), whole(v[10]), whole(v[11]), whole(v[12])
local simple = not (v[2] or v[3] or v[6]) and (v[5] or '') == version and pending and fly and accepted and seg and calls
if v[4] and now >= (tonumber(v[4]) or 0) then simple = false end
if ARGV[3] ~= '' then
  local open = false
  for from, till in string.gmatch(ARGV[3], '(%d+) (%d+)') do open = open or now >= tonumber(from) and now < tonumber(till) end
  simple = simple and open
end

-- Counters that are kept of each account, where there are several.
local accounts = {}
local function account(a)
  if not accounts[a] then
    local w = redis.call('HMGET', L, 'accepted:' .. a, 'fly:' .. a)
    accounts[a] = {whole(w[1]), whole(w[2])}
  end
  return accounts[a][1] and accounts[a][2] and accounts[a]
end

local out, changes, batches, done, settled = {}, {}, {}, {}, false
local function change(field, value) changes[#changes + 1], changes[#changes + 2] = field, value end

-- one returns the uuid and the time, if it has written both.
local function one(i, k)
  local token, b, mine = ARGV[i + 1], ARGV[i + 2], ARGV[i + 8]
  local this, result, other, wake, left = v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5]
  if not this or done[b] then return nil end
  if other then
    -- Said again: settled by this token, claimed by that, and nothing since.
    local was, first, uuid = match(other, '^s (%S+) %d+ (%d+) %d+ 0 0 0 0 (%S+) %S+ 0 %d+ 1$')
    if was ~= mine or match(this, '^t %S+ %d+ (%S+) %d+$') ~= sub(token, 1, 6) then return nil end
    change(fields[k + 3], (string.gsub(other, '^(s %S+) %d+', '%1 ' .. due)))
    return uuid, first
  end
  -- The record's words (prelude.lua): state, token, lease, claimed, first, tries, bad, doubt, revision, uuid, login, due, size, claims.
  local was, before, size, claims = match(this, '^s (%S+) %d+ %d+ %d+ %d+ %d+ 0 %d+ (%S+) %S+ %d+ (%d+) (%d+)$')
  if was ~= token or size ~= ARGV[i + 4] or result or not simple then return nil end
  if ARGV[i + 7] ~= '0' and (tonumber(wake or 0) or 1 / 0) > tonumber(ARGV[i + 7]) then return nil end
  local n, m = ARGV[i + 4] + 0, ARGV[i + 10] + 0
  left = (whole(left) or 0) - 1
  -- What ends the batch or the campaign has more to do.
  if left < 1 or pending - n < m or fly < n then return nil end
  if v[7] then
    local a = account(match(b, '^%d+'))
    if not a then return nil end
    a[1], a[2] = a[1] + n, a[2] - n + m
  end
  pending, fly, accepted, seg, calls = pending - n, fly - n + m, accepted + n, seg + n * ARGV[i + 6], calls + 1
  settled = true
  change(fields[k + 2], ARGV[i + 5])
  change(fields[k + 1], 't ' .. before .. ' ' .. stamp .. ' ' .. sub(token, 1, 6) .. ' ' .. claims)
  change(fields[k + 3], 's ' .. mine .. ' ' .. due .. ' ' .. stamp .. ' ' .. stamp .. ' 0 0 0 0 ' .. ARGV[i + 11] .. ' ' .. login .. ' 0 ' .. ARGV[i + 10] .. ' 1')
  change(fields[k + 5], int('%d', left))
  return ARGV[i + 11], stamp
end

for i = head, #ARGV - each, each do
  local uuid, first = nil, nil
  if v[1] == '1' then uuid, first = one(i, own + (i - head) / each * 5) end
  out[#out + 1] = uuid and uuid .. ' ' .. first or ''
  if uuid then
    batches[#batches + 1], done[ARGV[i + 2]] = ARGV[i + 2], true
  end
end
if #batches == 0 then return out end

if settled then
  for field, value in pairs({pending = pending, fly = fly, accepted = accepted, seg = seg, calls = calls}) do change(field, int('%d', value)) end
  for a, w in pairs(accounts) do
    if w[1] and w[2] then change('accepted:' .. a, int('%d', w[1])) change('fly:' .. a, int('%d', w[2])) end
  end
end
redis.call('HSET', L, unpack(changes))
local scores = {}
for i, b in ipairs(batches) do scores[2 * i - 1], scores[2 * i] = int('%d', now + lease + 1000), b end
-- Nearly always all of them are in the open set, and move.
if redis.call('ZADD', KEYS[2], 'XX', 'CH', unpack(scores)) < #batches then
  for i, was in ipairs(redis.call('ZMSCORE', KEYS[2], unpack(batches))) do
    if not was then redis.call('HINCRBY', L, 'ob:' .. match(batches[i], '^%d+'), 1) end
  end
  redis.call('ZADD', KEYS[2], unpack(scores))
end
return out
