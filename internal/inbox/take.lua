-- take.lua stores an incoming message, unless it is already stored. For an opt-in word, it also removes the sender from
-- a suppression list. It does so only if an opt-out word added the sender, and this word was not sent after the opt-in
-- word.
-- KEYS: 1 stream of messages, 2 known messages, 3 data of the inbox, 4 data of all suppression lists, 5 bucket of the sender
-- ARGV, in the order of takeArgs:
--   id       identifies the message among all messages of all accounts
--   message  the message, as JSON
--   keep     how long a message is kept, in ms
--   max      how many messages are kept
--   list     suppression list to which an opt-in applies; empty for other messages
--   field    field of the sender in the bucket
--   origin   number of the origin that an opt-in may remove
--   newest   the opt-in does not remove an entry whose value is higher; the value contains the time of the opt-out
-- Returns {'new' or 'repeated', cursor of a new message}
local id, message, keep, max, list, field, origin, newest = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[2], id)
redis.call('ZADD', KEYS[2], now, id)
if known then return {'repeated', ''} end
if list ~= '' then
  local entry = tonumber(redis.call('HGET', KEYS[5], field) or '')
  if entry and entry % 64 == tonumber(origin) and entry <= tonumber(newest) then
    redis.call('HDEL', KEYS[5], field)
    if redis.call('HINCRBY', KEYS[4], 'n:' .. list, -1) <= 0 then redis.call('HDEL', KEYS[4], 'n:' .. list) end
  end
end
local cursor = redis.call('XADD', KEYS[1], '*', 'm', message)
-- Each run removes at most ten old messages, so that no run takes long.
for _ = 1, 10 do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
  if tonumber(string.match(first, '^%d+')) >= now - keep and redis.call('XLEN', KEYS[1]) <= tonumber(max) then break end
  redis.call('XDEL', KEYS[1], first)
  redis.call('HSET', KEYS[3], 'cut', first)
end
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - keep, 'LIMIT', 0, 10)
if #old > 0 then redis.call('ZREM', KEYS[2], unpack(old)) end
return {'new', cursor}
