-- form.lua reads which form a campaign has. It changes nothing.
-- KEYS: 1 ledger, 2 tombstone
-- ARGV: none
-- Returns {'full', token of the upload} | {'other', x}. x is the archive or the tombstone, or ''
-- if the campaign has neither.
local format, upload = unpack(redis.call('HMGET', KEYS[1], 'v', 'up'))
if format then return {'full', upload or ''} end
return {'other', redis.call('GET', KEYS[2]) or ''}
