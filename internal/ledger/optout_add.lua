-- optout_add.lua puts numbers on a suppression list; who is on it already stays there as first entered.
-- KEYS: 1 what is kept of all lists, then the bucket of each number
-- ARGV: 1 token, 2 list, then for each number: what its bucket calls it, when and from where, in one number
-- Returns {'added', how many were new, how many are on the list}. The token that was there last is answered the same again.
local last, count = redis.call('HMGET', KEYS[1], 'last', 'n:' .. ARGV[2]), 0
local token, added = string.match(last[1] or '', '^(%S+) (%d+)$')
if token == ARGV[1] then return {'added', added, last[2] or '0'} end
for i = 2, #KEYS do count = count + redis.call('HSETNX', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
redis.call('HSET', KEYS[1], 'last', ARGV[1] .. ' ' .. count)
local all = last[2] or '0'
if count > 0 then all = redis.call('HINCRBY', KEYS[1], 'n:' .. ARGV[2], count) end
return {'added', tostring(count), tostring(all)}
