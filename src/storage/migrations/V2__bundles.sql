-- No table changes. From here on `journal` may hold envelopes of several frames, and `retained.bytes` the row of such an envelope in
-- place of a frame; a program that does not know them would believe less than it should, so it must refuse the file.
SELECT 1;
