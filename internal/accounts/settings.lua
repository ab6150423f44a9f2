-- settings.lua publishes the settings of a worker for the whole cluster. The settings of the worker that started last
-- are in force.
-- KEYS: 1 settings
-- ARGV, in the order of settingsArgs:
--   worker    name of the worker; '' if the caller is not a worker
--   start     number of the worker's start (start.lua). Settings with a lower number do not replace those in force
--   settings  JSON
--   cards     '1' if the worker has changed a card that is in force, else '0'
-- Returns {settings in force, their worker, since when (ms), revision}. The revision grows whenever settings or cards in
-- force have changed.
local worker, start, settings, cards = unpack(ARGV)
local S = KEYS[1]
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
local old = redis.call('HMGET', S, 'settings', 'start', 'last')
local current, mine = tonumber(old[2] or '0'), tonumber(start)
if worker ~= '' then redis.call('HSET', S, 'w:' .. worker, now .. ' ' .. start .. ' ' .. settings) end
if mine > tonumber(old[3] or '0') then redis.call('HSET', S, 'last', string.format('%.0f', mine)) end
local changed = mine >= current and old[1] ~= settings
if changed then redis.call('HSET', S, 'settings', settings, 'since', now) end
if mine >= current and (changed or mine > current) then redis.call('HSET', S, 'start', string.format('%.0f', mine), 'by', worker) end
if changed or cards == '1' then redis.call('HINCRBY', S, 'rev', 1) end
local f = redis.call('HMGET', S, 'settings', 'by', 'since', 'rev')
return {f[1], f[2] or '', f[3] or '0', f[4] or '0'}
