-- note.lua enters message ids of one batch into the index of a login, so that a delivery report finds its recipient. The
-- index consists of segments. A segment gives every recipient a place, a number below 4,194,304, and has buckets: sets of
-- 32-bit numbers, each made of 10 bits of an id's hash and the 22 bits of a place.
-- KEYS: 1 segments of the login, 2 its parked reports
-- ARGV, in the order of noteArgs:
--   life        ms for which the ids are kept at least
--   batch       'campaign batch upload', with the token of the campaign's upload
--   batch_size  recipients of the batch
--   expected    recipients of the campaign: sizes a new segment
--   ids         for each id eight bytes: 4 for the bucket, 2 with the 10 bits, 2 with the position in the batch
-- Returns {segment, parked}. parked is 1 if reports of the login are parked, else 0. Running it again changes nothing.
local life, batch, batch_size, expected, ids = unpack(ARGV)
local PLACES, FEWEST, MOST, USUAL, FULL, DAY = 4194304, 64, 65536, 64, 128, 86400000
local H, size = KEYS[1], tonumber(batch_size)
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local n = tonumber(redis.call('HGET', H, 'n') or 0)

-- A segment is 'buckets next-place opened until'.
local buckets, next_place, opened, till
local segment = n > 0 and redis.call('HGET', H, 's' .. int(n))
if segment then
  local a, b, c, d = string.match(segment, '^(%d+) (%d+) (%d+) (%d+)$')
  buckets, next_place, opened, till = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
end
local base
if buckets and now < till then base = tonumber(redis.call('ZSCORE', H .. ':' .. int(n) .. ':t', batch) or nil) end
local changed = false
if not base then
  local full = buckets and next_place + size > math.min(PLACES, buckets * FULL)
  if not buckets or full or now >= till or now - opened > DAY then
    local expect = math.max(tonumber(expected), size, (next_place or 0) * (full and 2 or 1))
    n, buckets = n + 1, math.max(FEWEST, math.min(MOST, math.ceil(expect / USUAL)))
    next_place, opened, till = 0, now, 0
    redis.call('HSET', H, 'n', int(n))
  end
  base, next_place, changed = next_place, next_place + size, true
  redis.call('ZADD', H .. ':' .. int(n) .. ':t', int(base), batch)
end
-- The end is moved on in steps, so that few calls write it.
local ms = tonumber(life)
if changed or till < now + ms then
  if till < now + ms then till = now + ms + math.floor(ms / 8) end
  redis.call('HSET', H, 's' .. int(n), table.concat({int(buckets), int(next_place), int(opened), int(till)}, ' '))
end
-- This loop is most of the script's time: it has as few steps as possible.
local prefix, call, read = H .. ':' .. int(n) .. ':', redis.call, struct.unpack
for i = 1, #ids, 8 do
  local hash, bits, position = read('>I4I2I2', ids, i)
  call('SADD', prefix .. hash % buckets, bits * PLACES + base + position - 2147483648)
end
return {int(n), int(redis.call('EXISTS', KEYS[2]))}
