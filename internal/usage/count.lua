-- count.lua adds the messages that a campaign has sent since its last count to the usage of a month. The caller passes
-- the totals of the campaign. The script stores these totals, so that no message is counted twice.
-- KEYS: 1 usage of the month, 2 stored totals of the campaign; for a single message also 3, a hash with the stored
--   totals of many single messages, because an entry of a hash takes less memory than a key
-- ARGV, in the order of countArgs:
--   upload      token of the campaign's upload: another campaign with the same ID counts from zero
--   expires_at  ms: when the month is removed
--   id          of the campaign
-- then for each account of the campaign, in the order of accountArgs:
--   account
--   row         who sent: account, sender, key ID, key name and currency, separated by tabs
--   rest        the row that is used if the month has too many rows
--   messages    total of the campaign at this account
--   segments    total of the campaign at this account
--   cost        total of the campaign at this account, in millionths of the currency
-- Returns {'counted'}. A repeated run changes nothing. Totals that are lower than the stored totals change nothing
-- either.
local MOST_ROWS, ARGS = 10000, 6
local upload, expires_at, id = unpack(ARGV, 1, 3)
local before, lines, changed = {}, {upload}, false
local alone = redis.call('GET', KEYS[2])
local state = alone or KEYS[3] and redis.call('HGET', KEYS[3], id)
if state and string.match(state, '^%S+') == upload then
  for account, m, s, c in string.gmatch(state, '\n(%S+) (%d+) (%d+) (%d+)') do before[account] = {m, s, c} end
end
for i = 4, #ARGV, ARGS do
  local account, row, rest, messages, segments, cost = unpack(ARGV, i, i + ARGS - 1)
  local was, now, more = before[account] or {0, 0, 0}, {messages, segments, cost}, {}
  for j = 1, 3 do
    now[j] = math.max(tonumber(was[j]), tonumber(now[j]))
    more[j] = now[j] - tonumber(was[j])
    if more[j] > 0 then changed = true end
  end
  if more[1] + more[2] + more[3] > 0 then
    local known = redis.call('HGET', KEYS[1], row)
    if not known and redis.call('HLEN', KEYS[1]) >= MOST_ROWS then
      row = rest
      known = redis.call('HGET', KEYS[1], row)
    end
    local m, s, c = string.match(known or '0 0 0', '^(%d+) (%d+) (%d+)$')
    redis.call('HSET', KEYS[1], row, string.format('%.0f %.0f %.0f', m + more[1], s + more[2], c + more[3]))
  end
  lines[#lines + 1] = string.format('%s %.0f %.0f %.0f', account, now[1], now[2], now[3])
end
if changed then
  redis.call('PEXPIREAT', KEYS[1], expires_at)
  state = table.concat(lines, '\n')
  if KEYS[3] and not alone then redis.call('HSET', KEYS[3], id, state) else redis.call('SET', KEYS[2], state) end
end
return {'counted'}
