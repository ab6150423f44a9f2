-- restore.lua replaces the archive of a message by what archive.lua has removed, so that another script can change the
-- message.
-- KEYS: 1 ledger, 2 open set, 3 spec, 4 tombstone, 5 page 0 of the overlay, 6 delays
-- ARGV, in the order of archiveArgs:
--   archive  the archive, as the caller has read it
--   spec     record of the spec
--   overlay  the page of the overlay; '' if the message has no overlay
--   fields   number of fields of the ledger
--   delays   number of fields of the delays
-- then for each field of the ledger, and for each field of the delays, in the order of archivedField:
--   field
--   value
-- Returns {'restored'|'changed'}. Only the run that answers 'restored' changes anything.
-- Running it again answers 'changed'.
local archive, spec, overlay, fields, delays = unpack(ARGV)
if redis.call('GET', KEYS[4]) ~= archive or redis.call('EXISTS', L) == 1 then return {'changed'} end
redis.call('DEL', KEYS[4])
redis.call('SET', KEYS[3], spec)
if overlay ~= '' then redis.call('SET', KEYS[5], overlay) end
local key, left = L, tonumber(fields)
for i = 6, 4 + 2 * (fields + delays), 2 do
  local field, value = unpack(ARGV, i, i + 1)
  if left == 0 then key = KEYS[6] end
  redis.call('HSET', key, field, value)
  left = left - 1
end
return {'restored'}
