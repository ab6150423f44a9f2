-- refusal.lua counts recipients that an account refused while it accepts nothing, and returns how many of these
-- recipients may be rejected. Each refused recipient may be a dead number, but too many refusals in a row suggest that
-- the account is not set up. Then the script holds the account for bulk campaigns.
-- KEYS: 1 account
-- ARGV, in the order of refusalArgs:
--   recipients        number of recipients that one call refused
--   bulk              0|1: whether the call belongs to a bulk campaign
--   claimed_at        time of the call's claim in ms
--   code              the gateway's code, or ''
--   proven_for        how long an account counts as working after it has accepted a call, in ms
--   most              maximum number of recipients in a row that may be rejected
--   first_back_off    in ms
--   longest_back_off  in ms
--   jitter            0 to 1
-- Returns {granted, 'open'} | {granted, 'held', reason, until ms}
-- The counter is the field 'refused'. breaker.lua removes it when a call is accepted. release.lua removes it when a
-- hold is lifted by hand. Until it is removed, at most 'most' recipients of bulk campaigns are rejected, whatever the
-- number of workers and of calls in flight. The script grants and counts all recipients of a transactional campaign.
-- It does not grant or count the recipients of a bulk call that was claimed before the last release. A release means
-- that the account has been set up meanwhile, so the recipients of that call are tried again.
-- A repeated run after a lost answer counts the recipients twice, so fewer recipients are rejected before the hold.
local recipients, bulk, claimed_at, code, proven_for, most, first_back_off, longest_back_off, jitter = unpack(ARGV)
local A = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local v = redis.call('HMGET', A, 'ok_at', 'refused', 'hold', 'hold_until', 'hold_bulk', 'trips', 'released_at')
local n, count = tonumber(recipients), tonumber(v[2] or 0)
if v[1] and now - tonumber(v[1]) < tonumber(proven_for) then return {recipients, 'open'} end
if bulk == '1' and tonumber(claimed_at) < tonumber(v[7] or 0) then
  if v[3] then return {'0', 'held', v[3], v[4] or '0'} end
  return {'0', 'open'}
end
local granted = n
if bulk == '1' then granted = math.max(0, math.min(n, tonumber(most) - count)) end
count = count + granted
redis.call('HSET', A, 'refused', int(count))
if count < tonumber(most) then return {int(granted), 'open'} end

local held, bulk_only = v[3], v[5] == '1'
local by_hand = held and tonumber(v[4] or 0) == 0
-- Only a bulk call that was claimed after hold_until is a probe. A refused probe makes the hold longer.
local probed = held and not by_hand and bulk == '1' and tonumber(claimed_at) >= tonumber(v[4] or 0)
if held and not probed then return {int(granted), 'held', held, v[4] or '0'} end
local trips = (bulk_only and tonumber(v[6] or 0) or 0) + 1
local wait = math.min(tonumber(longest_back_off), tonumber(first_back_off) * 2 ^ math.min(trips - 1, 20))
local till = int(now + wait * (0.5 + tonumber(jitter) / 2))
redis.call('HSET', A, 'hold', 'nothing_accepted', 'hold_code', code, 'hold_by', 'worker', 'hold_until', till, 'hold_bulk', '1', 'trips', int(trips))
if not bulk_only then redis.call('HSET', A, 'hold_at', int(now)) end
redis.call('HDEL', A, 'hold_balance', 'hold_size', 'hold_call', 'probe_until')
return {int(granted), 'held', 'nothing_accepted', till}
