-- card.lua publishes the card of an account. The card of the worker that started last is in force.
-- KEYS: 1 account
-- ARGV, in the order of cardArgs:
--   worker  name of the worker that serves the account, or '' for none
--   start   number of the worker's start (start.lua). The card in force is not replaced by a card with a lower number
--   card    the card as JSON
--   limit   rate and burst, as the limiter reads them, or ''
--   slots   maximum number of simultaneous calls of this worker
--   own     JSON: this worker's values of the settings that all workers share
-- Returns {card in force, number of its start, its worker, since when (ms), '1' if this run changed the card, else '0'}
local worker, start, card, limit, slots, own = unpack(ARGV)
local A = KEYS[1]
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
local old = redis.call('HMGET', A, 'card', 'start', 'limit')
local current, mine = tonumber(old[2] or '0'), tonumber(start)
redis.call('HSET', A, 'seen', now)
if worker ~= '' then redis.call('HSET', A, 'w:' .. worker, now .. ' ' .. slots .. ' ' .. start .. ' ' .. own) end
local changed = mine >= current and (old[1] ~= card or (old[3] or '') ~= limit)
if changed then
  redis.call('HSET', A, 'card', card, 'since', now)
  if limit == '' then redis.call('HDEL', A, 'limit') else redis.call('HSET', A, 'limit', limit) end
end
if mine >= current and (changed or mine > current) then redis.call('HSET', A, 'start', string.format('%.0f', mine), 'by', worker) end
local f = redis.call('HMGET', A, 'card', 'start', 'by', 'since')
return {f[1], f[2] or '0', f[3] or '', f[4] or '0', changed and '1' or '0'}
