-- top_up.lua hands out batches of each stream until the open-batch limit of the stream is reached. A stream may be below
-- its limit after a crash, or if the limit was raised. The script also ends a campaign that has expired.
-- KEYS: 1 ledger, 2 open set
-- ARGV: stream, open-batch limit, stream, open-batch limit, …
-- Returns {'ok', done 0|1, 'batch:wake'…} | {'missing'|'newer'}
-- Running it again changes nothing and returns no batch. If an answer is lost, the sweeper finds the batches of the
-- answer when they are due, like any other batch.
local bad = unfit()
if bad then return {bad} end
local now, out = now_ms(), {'ok', '0'}
local exp = get('exp')
if exp and now >= tonumber(exp) then stop('expired', now) end
local lim = get('lim')
if lim and not limit(lim) then unreadable('lim') end
judge(now)
for i = 1, #ARGV, 2 do
  local mine = {}
  hand_out(ARGV[i], tonumber(ARGV[i + 1]), now, mine)
  for _, x in ipairs(mine) do out[#out + 1] = x end
end
finish(now)
if get('fin') then out[2] = '1' end
return out
