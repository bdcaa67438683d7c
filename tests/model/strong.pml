/* Synchronous mode: a commit becomes visible when the sequencer says so, and it says so when no process may serve the
   old value. One key, one shard, a process with copies of its own; the server may go back to an earlier state.

   What is checked: a copy that may be served (`left` > 0) is what the database shows now. Time is a clock of all: LEASE
   ticks after a request was sent, what it proved is no longer served. Clocks that run at different rates are not modelled. */

#ifndef COMMITS
#define COMMITS 2
#endif
#ifndef BEACONS
#define BEACONS 2
#endif
#ifndef FILLS
#define FILLS 2
#endif
#ifndef EPOCHS
#define EPOCHS 1
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef TERM
#define TERM 2         /* ticks */
#endif
#define ENTRIES (2 * COMMITS + BEACONS + 1)
#define MESSAGE 16

#ifdef ASYNC
#define RELEASED true
#else
#define RELEASED (released >= committed)             /* the database waits for its synchronous standby */
#endif
#ifdef NO_PEND
#define MAY_LEASE true
#else
#define MAY_LEASE (!pending)                         /* none while a change is not visible yet */
#endif
#ifdef NO_WAITOUT
#define NOBODY_SERVES true
#else
#define NOBODY_SERVES (timer == 0 || (copies_epoch == mine && copies_pos >= waited))
#endif

#define NOTHING 0
#define LEASE 1
#define VALUE 2

unsigned visible : 3; unsigned committed : 3; unsigned released : 3;
byte log[COMMITS + BEACONS]; unsigned length : 4;

/* The server, and what a rollback brings back. */
unsigned epoch : 3 = 1; unsigned begin : 3; unsigned seq : 4; bool pending;
unsigned kind : 2; unsigned under : 3; unsigned bytes : 3; byte entry[ENTRIES];
bool saved; unsigned old_epoch : 3; unsigned old_begin : 3; unsigned old_seq : 4; bool old_pending;
unsigned old_kind : 2; unsigned old_under : 3; unsigned old_bytes : 3; unsigned rollbacks : 1;
bool broken; bool reset; bool reset_fill;            /* connections of the sequencer, the stream and the filler */

unsigned timer : 3; unsigned epochs : 3 = 1; unsigned beacons : 3;
bool copy; unsigned copy_version : 3; unsigned copies_epoch : 3 = 1; unsigned copies_pos : 4; bool touched;
unsigned left : 3;                                   /* ticks for which copies may be served */
bool known; unsigned known_epoch : 3; unsigned known_begin : 3; unsigned known_left : 3;   /* the proof record */

inline current() { assert(!(copy && left > 0) || copy_version == visible) }
inline flush() { copy = false; touched = true }

active proctype Clock() {
end:
  do
  :: atomic { left > 0 || known_left > 0 || timer > 0 ->
       if :: left > 0 -> left-- :: else fi;
       if :: known_left > 0 -> known_left-- :: else fi;
       if :: timer > 0 -> timer-- :: else fi }
  od
}

active proctype Writer() {
end:
  do
  :: atomic { committed < COMMITS -> committed++; log[length] = committed; length++ }
     atomic { RELEASED -> visible = committed; current() }
  od
}

active proctype Sequencer() {
  unsigned mine : 3 = 1; unsigned pos : 4; unsigned change : 3; unsigned marked : 3; unsigned waited : 4;
  unsigned n : 2; bool emitted; unsigned finished : 2;
end:
  do
  :: atomic { !change && !finished && pos < length ->
       if
       :: log[pos] < MESSAGE -> change = log[pos]
       :: log[pos] == MESSAGE + 4 * mine + n && n > 0 -> finished = n
       :: else
       fi;
       pos++ }
  :: atomic { change && marked != change && !broken ->         /* mark, delete, number: one script */
       seq++; entry[seq] = 0; pending = true; kind = NOTHING; under = 0; bytes = 0;
       marked = change; waited = seq; timer = TERM }
  :: atomic { change && marked == change && released < change && NOBODY_SERVES -> released = change; timer = 0 }
  :: atomic { change && marked == change && visible >= change && !broken ->
       pending = false; change = 0; marked = 0; waited = 0 }
  :: atomic { marked == change && change && !finished && pos < length && log[pos] == MESSAGE + 4 * mine + n && n > 0 ->
       pos++; finished = n }
  :: atomic { !n && beacons < BEACONS && !broken -> beacons++; begin++; n = begin }
  :: atomic { n && !emitted && length < COMMITS + BEACONS -> log[length] = MESSAGE + 4 * mine + n; length++; emitted = true }
  :: atomic { finished && !broken -> seq++; entry[seq] = finished; finished = 0; n = 0; emitted = false }
#if EPOCHS > 1
  :: atomic { epochs < EPOCHS && broken ->
       epochs++; mine = epochs; epoch = mine; begin = 0; seq = 0; pending = false; broken = false;
       n = 0; emitted = false; finished = 0;
#ifndef NO_REPEND
       marked = 0; waited = 0; timer = 0             /* what waits is marked again, and waited for again */
#endif
     }
#endif
  od
}

active proctype Stream() {
  bool reply; unsigned e : 3; unsigned c : 3; unsigned what : 3; unsigned d : 2; unsigned sent : 3;
end:
  do
  :: atomic { reset -> reset = false; known = false; known_epoch = 0; known_begin = 0; known_left = 0;
       reply = false; e = 0; c = 0; what = 0; d = 0 }
  :: atomic { !reply && !reset ->
       e = epoch; c = begin;
       if
       :: e != copies_epoch -> what = 1
       :: e == copies_epoch && copies_pos > seq -> what = 2
       :: e == copies_epoch && copies_pos < seq -> what = 3; d = entry[copies_pos + 1]
       :: e == copies_epoch && copies_pos == seq
       fi;
       if                                            /* one record is kept, any one; its time runs from here */
       :: known && what == 3 && d > 0
       :: !(what == 3 && d > 0) -> known = true; known_epoch = e; known_begin = c; known_left = TERM
       :: known
       :: !known
       fi;
       reply = true }
  :: atomic { reply && !reset ->
       if
       :: what == 1 -> flush(); copies_epoch = e; copies_pos = 0; left = 0
       :: what == 2 -> flush(); copies_pos = 0;
#ifndef KEEP_FRESH
          left = 0
#endif
       :: what == 3 && d == 0 -> copies_pos++; flush()
       :: what == 3 && d > 0 -> copies_pos++;
          if
          :: known && known_epoch == e && known_begin < d && known_left > left -> left = known_left
          :: else
          fi;
          current()
       :: what == 0
       fi;
       reply = false; e = 0; c = 0; what = 0; d = 0 }
  od
}

active proctype Filler() {
  unsigned e : 3; unsigned version : 3; unsigned fills : 2; unsigned token : 2; unsigned s : 4; unsigned at : 3;
  bool was; unsigned was_under : 3; unsigned was_kind : 2; unsigned was_bytes : 3;
end:
  do
  :: atomic { fills < FILLS ->
       e = epoch; was_kind = kind; was_under = under; was_bytes = bytes; touched = false; s = seq }
     atomic {
       if
       :: was_kind == VALUE && was_under == e ->
          if :: e == copies_epoch && s >= copies_pos && !touched -> copy = true; copy_version = was_bytes; current() :: else fi;
          goto next
       :: else
       fi }
     atomic {
       if
       :: MAY_LEASE && (kind == NOTHING || (kind == was_kind && under == was_under && bytes == was_bytes && under != e)) ->
          fills++; token = fills; kind = LEASE; under = e; bytes = token
       :: else -> goto next
       fi }
     atomic { version = visible }
     atomic {
       if
       :: kind == LEASE && under == e && bytes == token -> kind = VALUE; bytes = version; s = seq; at = epoch
       :: else -> goto next
       fi }
     atomic {
       if :: e == copies_epoch && at == copies_epoch && s >= copies_pos && !touched ->
          copy = true; copy_version = version; current()
       :: else
       fi }
next:
     atomic { e = 0; version = 0; token = 0; s = 0; at = 0; was_kind = 0; was_under = 0; was_bytes = 0 }
  od
}

#if ROLLBACKS
active proctype Faults() {
  atomic { saved = true; old_epoch = epoch; old_begin = begin; old_seq = seq; old_pending = pending;
    old_kind = kind; old_under = under; old_bytes = bytes }
  atomic { epoch = old_epoch; begin = old_begin; seq = old_seq; pending = old_pending; kind = old_kind;
    under = old_under; bytes = old_bytes; broken = true; reset = true; rollbacks = 1;
    old_epoch = 0; old_begin = 0; old_seq = 0; old_pending = false; old_kind = 0; old_under = 0; old_bytes = 0 }
}
#endif
