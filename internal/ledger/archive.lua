-- archive.lua replaces a message that has ended, and whose text is deleted, by its archive: one string under the key of
-- the tombstone (archive.go). restore.lua reverses this. If the message has changed since the caller read it, the
-- script changes nothing.
-- KEYS: 1 ledger, 2 open set, 3 spec, 4 tombstone, 5 page 0 of the overlay, 6 delays
-- ARGV, in the order of archiveArgs:
--   archive  the archive
--   spec     record of the spec, as the caller has read it
--   overlay  the page of the overlay; '' if the message has no overlay
--   fields   number of fields of the ledger
--   delays   number of fields of the delays
-- then for each field of the ledger, and for each field of the delays, in the order of archivedField:
--   field
--   value
-- Returns {'archived'|'changed'|'missing'|'newer'}. Only the run that answers 'archived' changes anything.
-- Running it again answers 'missing'.
local archive, spec, overlay, fields, delays = unpack(ARGV)
local bad = unfit()
if bad then return {bad} end

local next_field = 6
local function is_same(key, count)
  if redis.call('HLEN', key) ~= count then return false end
  for i = next_field, next_field + 2 * count - 1, 2 do
    local field, value = unpack(ARGV, i, i + 1)
    if redis.call('HGET', key, field) ~= value then return false end
  end
  next_field = next_field + 2 * count
  return true
end

if redis.call('EXISTS', O, KEYS[4]) > 0 or redis.call('GET', KEYS[3]) ~= spec or (redis.call('GET', KEYS[5]) or '') ~= overlay then return {'changed'} end
if not is_same(L, tonumber(fields)) or not is_same(KEYS[6], tonumber(delays)) then return {'changed'} end
redis.call('UNLINK', L, KEYS[3], KEYS[5], KEYS[6])
redis.call('SET', KEYS[4], archive)
return {'archived'}
