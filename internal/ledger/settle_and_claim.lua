-- settle_and_claim.lua settles calls whose recipients were all accepted. For each settled call it also claims the next
-- call of the same batch. It writes exactly what settle.lua and then claim.lua write. It handles only simple cases; for
-- any other call it writes nothing.
-- One run handles the calls of many worker slots, so that shared fields are read and written once. With few slots each
-- run has one call, so the script avoids all unnecessary work. A full Redis refuses this script, as it refuses a claim.
-- The caller then uses settle.lua, which a full Redis accepts.
-- KEYS: 1 ledger, 2 open set
-- ARGV, shared by all calls, in the order of sharedArgs:
--   lease       in ms
--   login
--   spans       time spans in which the next call may be made, as in claim.lua
--   exclusions  version of the campaign's opt-outs, as in claim.lua
-- then for each call, in the order of nextArgs:
--   token
--   batch
--   call        the call to settle: its generation 0, which was never divided
--   call_size   recipients of the call
--   records     one [status][length][detail] for each recipient
--   segments    segments of one message
--   wake        wake number; 0: the script does not check it
--   next_token  token of the next claim
--   next_call   the next call: its generation 0, which was never claimed
--   next_size   recipients of the next call
--   next_key    idempotency key (uuid) of the next call
--   cost        cost of the settled call, as in settle.lua, but never '*'
-- Returns one string for each call. 'uuid claimed-ms' means that the call is settled and the next call is claimed. ''
-- means that the script wrote nothing for this call. Then the caller uses settle.lua and claim.lua. While the next
-- claim is valid, a repeated run with the same tokens returns the same answer.
local lease, login, spans, exclusions = unpack(ARGV, 1, 4)
local TOKEN, BATCH, CALL, CALL_SIZE, RECORDS, SEGMENTS, WAKE, NEXT_TOKEN, NEXT_CALL, NEXT_SIZE, NEXT_KEY, COST = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
local L, lease_ms = KEYS[1], tonumber(lease)
local int, match, sub, each, head, own = string.format, string.match, string.sub, COST, 4, 12
local fields = {'v', 'stop', 'paused', 'exp', 'ex', 'lim', 'per', 'pending', 'fly', 'accepted', 'seg', 'calls'}
for i = head, #ARGV - each, each do
  local b, call, next_call, k = ARGV[i + BATCH], ARGV[i + CALL], ARGV[i + NEXT_CALL], #fields
  fields[k + 1], fields[k + 2], fields[k + 3] = 'g' .. b .. '.' .. call .. '.0', 'r' .. b .. '.' .. call, 'g' .. b .. '.' .. next_call .. '.0'
  fields[k + 4], fields[k + 5] = 'w' .. b, 'l' .. b
end
local v = redis.call('HMGET', L, unpack(fields))
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local stamp, due = int('%d', now), int('%d', now + lease_ms)

-- If `simple` is false, this run writes nothing, neither for the settled call nor for the next one. For example,
-- `simple` is false if the campaign has a failure threshold, because only settle.lua checks the threshold. It is also
-- false if a counter is not a whole number, because the other scripts report such a counter.
local function whole(x)
  if not x then return 0 end
  return match(x, '^%d+$') and tonumber(x)
end
local pending, fly, accepted, seg, calls = whole(v[8]), whole(v[9]), whole(v[10]), whole(v[11]), whole(v[12])
local simple = not (v[2] or v[3] or v[6]) and (v[5] or '') == exclusions and pending and fly and accepted and seg and calls
if v[4] and now >= (tonumber(v[4]) or 0) then simple = false end
if spans ~= '' then
  local open = false
  for from, till in string.gmatch(spans, '(%d+) (%d+)') do open = open or now >= tonumber(from) and now < tonumber(till) end
  simple = simple and open
end

-- In a campaign with several accounts, these counters are also kept for each stream.
local accounts = {}
local function account(a)
  if not accounts[a] then
    local w = redis.call('HMGET', L, 'accepted:' .. a, 'fly:' .. a, 'seg:' .. a)
    accounts[a] = {whole(w[1]), whole(w[2]), whole(w[3])}
  end
  return accounts[a][1] and accounts[a][2] and accounts[a][3] and accounts[a]
end

local out, changes, batches, done, settled = {}, {}, {}, {}, false
local costs = {} -- cost of the settled calls, by 'currency' or 'currency:stream'
local function change(field, value) changes[#changes + 1], changes[#changes + 2] = field, value end

-- The function "one" settles one call and claims the next one. It returns the uuid and the time of the claim, or
-- nil if it did not write anything.
local function one(i, k)
  local token, b, mine = ARGV[i + TOKEN], ARGV[i + BATCH], ARGV[i + NEXT_TOKEN]
  local this, result, other, wake, left = v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5]
  if not this or done[b] then return nil end
  if other then
    -- This may be a repeated request: `token` has settled this call, `mine` has claimed the next call, and neither
    -- record has changed since.
    local was, first, uuid = match(other, '^s (%S+) %d+ (%d+) %d+ 0 0 0 0 (%S+) %S+ 0 %d+ 1$')
    if was ~= mine or match(this, '^t %S+ %d+ (%S+) %d+$') ~= sub(token, 1, 6) then return nil end
    change(fields[k + 3], (string.gsub(other, '^(s %S+) %d+', '%1 ' .. due)))
    return uuid, first
  end
  -- The words of the record (prelude.lua): state, token, lease, claimed, first, tries, bad, doubt, rev, uuid,
  -- login, due, size, claims.
  local was, before, size, claims = match(this, '^s (%S+) %d+ %d+ %d+ %d+ %d+ 0 %d+ (%S+) %S+ %d+ (%d+) (%d+)$')
  if was ~= token or size ~= ARGV[i + CALL_SIZE] or result or not simple then return nil end
  if ARGV[i + WAKE] ~= '0' and (tonumber(wake or 0) or 1 / 0) > tonumber(ARGV[i + WAKE]) then return nil end
  local n, m = ARGV[i + CALL_SIZE] + 0, ARGV[i + NEXT_SIZE] + 0
  left = (whole(left) or 0) - 1
  -- At the end of a batch or a campaign more work is needed, which settle.lua does.
  if left < 1 or pending - n < m or fly < n then return nil end
  if v[7] then
    local a = account(match(b, '^%d+'))
    if not a then return nil end
    a[1], a[2], a[3] = a[1] + n, a[2] - n + m, a[3] + n * ARGV[i + SEGMENTS]
  end
  local currency, amount = match(ARGV[i + COST], '^(%u+):(%d+)$')
  if currency then
    local name = v[7] and currency .. ':' .. match(b, '^%d+') or currency
    costs[name] = (costs[name] or 0) + amount
  end
  pending, fly, accepted, seg, calls = pending - n, fly - n + m, accepted + n, seg + n * ARGV[i + SEGMENTS], calls + 1
  settled = true
  change(fields[k + 2], ARGV[i + RECORDS])
  change(fields[k + 1], 't ' .. before .. ' ' .. stamp .. ' ' .. sub(token, 1, 6) .. ' ' .. claims)
  change(fields[k + 3], 's ' .. mine .. ' ' .. due .. ' ' .. stamp .. ' ' .. stamp .. ' 0 0 0 0 ' .. ARGV[i + NEXT_KEY] .. ' ' .. login .. ' 0 ' .. ARGV[i + NEXT_SIZE] .. ' 1')
  change(fields[k + 5], int('%d', left))
  return ARGV[i + NEXT_KEY], stamp
end

for i = head, #ARGV - each, each do
  local uuid, first = nil, nil
  if v[1] == '1' then uuid, first = one(i, own + (i - head) / each * 5) end
  out[#out + 1] = uuid and uuid .. ' ' .. first or ''
  if uuid then
    batches[#batches + 1], done[ARGV[i + BATCH]] = ARGV[i + BATCH], true
  end
end
if #batches == 0 then return out end

if settled then
  for field, value in pairs({pending = pending, fly = fly, accepted = accepted, seg = seg, calls = calls}) do change(field, int('%d', value)) end
  for a, w in pairs(accounts) do
    if w[1] and w[2] and w[3] then
      change('accepted:' .. a, int('%d', w[1]))
      change('fly:' .. a, int('%d', w[2]))
      change('seg:' .. a, int('%d', w[3]))
    end
  end
end
redis.call('HSET', L, unpack(changes))
for name, amount in pairs(costs) do
  -- Like settle.lua, this script adds up only costs in the first currency.
  local currency, stream = match(name, '^(%u+)(.*)$')
  redis.call('HSETNX', L, 'ccy' .. stream, currency)
  if redis.call('HGET', L, 'ccy' .. stream) == currency then
    redis.call('HINCRBY', L, 'cost', int('%.0f', amount))
    if stream ~= '' then redis.call('HINCRBY', L, 'cost' .. stream, int('%.0f', amount)) end
  end
end
local scores = {}
for i, b in ipairs(batches) do scores[2 * i - 1], scores[2 * i] = int('%d', now + lease_ms + 1000), b end
-- Usually all batches are in the open set already, and only their scores change.
if redis.call('ZADD', KEYS[2], 'XX', 'CH', unpack(scores)) < #batches then
  for i, was in ipairs(redis.call('ZMSCORE', KEYS[2], unpack(batches))) do
    if not was then redis.call('HINCRBY', L, 'ob:' .. match(batches[i], '^%d+'), 1) end
  end
  redis.call('ZADD', KEYS[2], unpack(scores))
end
return out
