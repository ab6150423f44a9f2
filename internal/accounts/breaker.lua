-- breaker.lua records the outcome of a call or probe for its account. It is the circuit breaker. Only calls
-- that were claimed after the last release are counted.
-- KEYS: 1 account
-- ARGV, in the order of breakerArgs:
--   outcome           'ok', 'bad' or 'hold'
--   claimed_at        time of the claim in ms; 0: now
--   reason            one word
--   code              the gateway's code, or ''
--   first_back_off    in ms
--   longest_back_off  in ms
--   jitter            0 to 1
--   known_balance     balance that is known for the hold, or ''
--   refused_size      segments of a call that was refused for lack of credit; 0 for any other call
--   calls             number of consecutive calls with this outcome; claimed_at is the claim of the last of these calls
-- Returns {'open'} | {'held', reason, until ms}
-- 'ok' lifts any hold except a hold by hand. Three 'bad' in a row, or five of the last ten, hold the account; 'hold' holds
-- it at once. A hold by hand does not change.
-- A hold for bulk campaigns only (refusal.lua) ends with any accepted call, and gives way to a hold of the whole account.
-- A failed probe may be smaller than the last refused call, while the balance has not risen. Then the next probe may
-- follow at once, because each smaller probe comes closer to a size that the balance can pay for.
local outcome, claimed_at, reason, code, first_back_off, longest_back_off, jitter, known_balance, refused_size, calls = unpack(ARGV)
local A = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local kind, claimed = outcome, tonumber(claimed_at)
local v = redis.call('HMGET', A, 'hold', 'hold_until', 'released_at', 'bad', 'ring', 'trips', 'hold_at', 'hold_balance', 'hold_size', 'hold_bulk')
local bulk_only = v[10] == '1'
local held, by_hand = v[1], v[1] and tonumber(v[2] or 0) == 0
if claimed ~= 0 and claimed < tonumber(v[3] or 0) and not (kind == 'ok' and bulk_only) then
  if held then return {'held', held, v[2]} end
  return {'open'}
end
local ring = string.sub((v[5] or '') .. string.rep(kind == 'ok' and '.' or 'x', math.min(10, tonumber(calls))), -10)
if kind == 'ok' then
  redis.call('HSET', A, 'ok_at', int(now), 'ring', ring)
  redis.call('HDEL', A, 'bad', 'refused')
  -- A call that was claimed before the hold does not show that the cause of the hold has gone. It only shows that the
  -- account accepts messages. This is enough to end a hold for bulk campaigns.
  if held and not by_hand and (bulk_only or claimed == 0 or claimed >= tonumber(v[7] or 0)) then
    redis.call('HDEL', A, 'hold', 'hold_code', 'hold_by', 'hold_at', 'hold_until', 'hold_balance', 'hold_size', 'hold_call', 'hold_bulk',
      'probe_until', 'ring', 'trips')
    redis.call('HSET', A, 'released_at', int(now))
    return {'open'}
  end
  if held then return {'held', held, v[2]} end
  return {'open'}
end
local bad = tonumber(v[4] or 0) + 1
redis.call('HSET', A, 'bad', int(bad), 'ring', ring)
if by_hand then return {'held', held, '0'} end
if bulk_only then held = nil end
-- Only a failed probe makes the hold longer. A call is a probe if it was claimed after the hold had expired. Calls that
-- were in flight when the hold began do not make the hold longer.
local probed = held and (claimed == 0 or claimed >= tonumber(v[2] or 0))
local _, broken = string.gsub(ring, 'x', '')
local trip = kind == 'hold' or bad >= 3 or (#ring == 10 and broken >= 5)
if held and not probed then return {'held', held, v[2]} end
if not held and not trip then return {'open'} end
local before, balance, size = held and tonumber(v[8] or ''), tonumber(known_balance), tonumber(refused_size)
local step = before and balance and balance <= before and size > 0 and size < tonumber(v[9] or 0)
local trips = (bulk_only and 0 or tonumber(v[6] or 0)) + (step and 0 or 1)
local wait = math.min(tonumber(longest_back_off), tonumber(first_back_off) * 2 ^ math.min(trips - 1, 20))
local till = int(step and now or now + wait * (0.5 + tonumber(jitter) / 2))
redis.call('HSET', A, 'hold', reason, 'hold_code', code, 'hold_by', 'worker', 'hold_until', till, 'trips', int(trips))
if not held then redis.call('HSET', A, 'hold_at', int(now)) end
if size > 0 then redis.call('HSET', A, 'hold_size', int(size), 'hold_call', int(now)) end
-- hold_balance is also lowered if a probe only reads the balance and finds that the balance has fallen.
if balance and (not held or size > 0 or kind == 'hold' and before and balance < before) then redis.call('HSET', A, 'hold_balance', known_balance) end
redis.call('HDEL', A, 'probe_until', 'hold_bulk')
return {'held', reason, till}
