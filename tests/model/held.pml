/* Synchronous mode as the code has it: processes hold what a commit wrote, beacons carry the grant of strong answers,
   and a second sequencer takes the slot while the first may go on and not know it. One row, one shard, one process.
   With OTHER the process reads another table strongly too, from some moment on, before the row's or after it: beacons
   grant because of that as well, and what they grant is of the tables that the proven request named.

   What is checked: a copy that may be served (`left` > 0) is what the database shows now. Time is a clock of all: TERM
   ticks after a request, what it proved is over. Commits follow each other, as each waits for the row. A request and
   what the shard does with it are one step; its answer may be in flight as long as it likes. */

#ifndef COMMITS
#define COMMITS 1
#endif
#ifndef BEACONS
#define BEACONS 2
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef TERM
#define TERM 2         /* ticks */
#endif

#ifdef NO_WAIT
#define NOBODY_ANSWERS true
#else
#define NOBODY_ANSWERS (timer[k] == 0 || !waits || (epoch == mine && listed && listed_pos >= mark))
#endif
#ifdef NO_BEFORE
#define SETTLED true
#else
#define SETTLED (before == 0)                        /* what the first sequencer granted is over */
#endif
#ifdef NO_HELD
#define IS_HELD false
#else
#define IS_HELD held_here
#endif
#ifdef NO_DOUBTS
#define CERTAIN true
#else
#define CERTAIN (doubt == 0)
#endif
#ifdef ANY_GRANT
#define WAITED_FOR true
#else
#define WAITED_FOR (holder == k)                     /* the sample says so */
#endif
#ifdef NO_BEGUN
#define FROM_THE_START true
#else
#define FROM_THE_START (a_settled >= begun_at)
#endif

#ifdef KNOWN_ANY
#define NAMED (listed || other)                      /* a request that named any table */
#else
#define NAMED listed                                 /* the row's */
#endif

#ifdef MARK_LATE
#define MARKED true
#else
#define MARKED (!change || is_marked)                /* what is held is marked before a beacon begins, or ends */
#endif
#ifdef NO_WISH
#define UNWISHED true
#else
#define UNWISHED (!wished)                           /* nobody named the row's table when the last beacon began */
#endif
#ifdef NO_VOUCHED
#define OVER true
#else
#define OVER (vouched[k] == 0)                       /* what we granted is over */
#endif
#define IDLE (UNWISHED && OVER && SETTLED)           /* nobody answers: nothing is marked, and nobody waited for */

/* The database: a commit is written, acknowledged by whoever holds the slot, and seen. */
unsigned started : 2; unsigned committed : 2; unsigned acked : 2; unsigned visible : 2; unsigned holder : 2 = 1;

/* The shard, and what it knows of the process: whether it named the row's table, and the other. */
unsigned epoch : 2 = 1; unsigned epochs : 3 = 1; unsigned seq : 4; bool held;
unsigned begin : 2; unsigned done : 2; bool grants; unsigned settled : 4;
bool listed; bool other; unsigned listed_pos : 4; bool heard;

unsigned beacons : 3; unsigned before : 2; byte timer[3]; byte vouched[3];

/* The process. */
unsigned here : 2; unsigned pos : 4; unsigned begun_at : 4; bool held_here;
bool copy; unsigned copy_version : 2; bool touched; unsigned left : 2;
bool known; unsigned known_begin : 2; unsigned known_left : 2;       /* the proof record: one request, any one */
bool asked; unsigned asked_left : 2;
bool wants; bool wants_other;                        /* it reads strongly, from some moment on */

inline current() { assert(!(copy && left > 0) || copy_version == visible) }
inline drop() { copy = false; copy_version = 0; touched = true }

active proctype Clock() {
end:
  do
  :: atomic { left > 0 || known_left > 0 || asked_left > 0 || before > 0 || timer[1] > 0 || timer[2] > 0 ||
       vouched[1] > 0 || vouched[2] > 0 ->
       if :: left > 0 -> left-- :: else fi;
       if :: known_left > 0 -> known_left-- :: else fi;
       if :: asked_left > 0 -> asked_left-- :: else fi;
       if :: before > 0 -> before-- :: else fi;
       if :: timer[1] > 0 -> timer[1]-- :: else fi;
       if :: timer[2] > 0 -> timer[2]-- :: else fi;
       if :: vouched[1] > 0 -> vouched[1]-- :: else fi;
       if :: vouched[2] > 0 -> vouched[2]-- :: else fi }
  od
}

active proctype Writer() {
end:
  do
  :: atomic { started < COMMITS && visible == started -> started++ }
  :: atomic { committed < started -> committed++ }
  :: atomic { visible < acked && acked <= committed -> visible++; current() }
  od
}

inline new_epoch() {
  epochs++; mine = epochs; epoch = mine; seq = 0; held = false; begin = 0; done = 0; grants = false; settled = 0;
  listed = false; other = false; listed_pos = 0; heard = false; n = 0; sampled = false; saw = 0; upto = 0;
  counts = false; is_marked = false; mark = 0; waits = false; timer[k] = 0;
  wish = false; wished = false; wish_any = false; wished_any = false
}

proctype Sequencer(byte k) {
  bool leads; bool looked;
  unsigned mine : 2; unsigned told : 2; unsigned change : 2; unsigned doubt : 2; bool was_told;
  bool is_marked; unsigned mark : 4; bool waits; bool wish; bool wished; bool wish_any; bool wished_any;
  unsigned n : 2; bool sampled; unsigned saw : 2; unsigned upto : 2; bool counts;
  d_step { if :: k == 1 -> leads = true; looked = true; mine = 1 :: else fi };
end:
  do
  :: atomic { k == 2 && holder == 1 -> holder = 2; leads = true; told = acked; before = TERM }
  :: atomic { leads && !looked -> looked = true;
       if :: started > visible -> doubt = started :: else fi }
  :: atomic { leads && looked && !mine && epochs < EPOCHS -> new_epoch() }
  :: atomic { leads && mine && epoch != mine -> leads = false; change = 0; n = 0; sampled = false }   /* fenced */
  :: atomic { leads && looked && holder == k && !change && told < committed ->
       told++; change = told;
       if :: doubt == change -> was_told = true :: else fi }
  :: atomic { leads && change && !is_marked && !IDLE && mine && epoch == mine ->
       seq++; held = true; mark = seq; is_marked = true; waits = listed; heard = false; timer[k] = TERM }
  :: atomic { leads && change && acked < change && holder == k && SETTLED &&
       ((is_marked && NOBODY_ANSWERS) || !mine || IDLE) ->           /* nothing can be told while there is no epoch of ours */
       if
       :: mine && epoch == mine && timer[k] == 0 && waits && listed && listed_pos < mark ->
          if :: !heard -> listed = false; other = false; listed_pos = 0 :: else fi
       :: else
       fi;
       acked = change }
  :: atomic { leads && change && visible >= change && (!mine || epoch == mine) ->
       if :: mine -> seq++; held = false :: else fi;
       change = 0; is_marked = false; mark = 0; waits = false; timer[k] = 0 }
  :: atomic { leads && looked && mine && epoch == mine && !n && beacons < BEACONS && (MARKED || IDLE) ->
       beacons++; begin++; n = begin; wish = listed; wish_any = listed || other }
  :: atomic { leads && n && !sampled ->                       /* the answer comes late: until now we may have been idle */
       sampled = true; wished = wish; wish = false; wished_any = wish_any; wish_any = false; saw = visible; upto = committed; counts = WAITED_FOR }
  :: atomic { leads && sampled && told >= upto && !(change && change <= saw) && (MARKED || !wished) && epoch == mine &&
       !(doubt && doubt <= saw && !was_told && epochs == EPOCHS) ->
       if
       :: doubt && doubt <= saw && !was_told ->              /* it may have been acknowledged by the first */
          doubt = 0;
#ifndef NO_RENEW
          new_epoch()
#endif
       :: else ->
          if :: doubt && doubt <= saw -> doubt = 0 :: else fi;
          done = n; grants = counts && CERTAIN && wished_any;
          if :: grants && wished -> vouched[k] = TERM :: else fi;
          if :: is_marked && mark -> settled = mark - 1 :: else -> settled = seq fi;
          n = 0; sampled = false; saw = 0; upto = 0; counts = false
       fi }
  od
}

active proctype Process() {
  unsigned e : 2; unsigned b : 2; unsigned d : 2; bool g; unsigned a_settled : 4; unsigned last : 4; bool h; bool is_known;
end:
  do
  :: atomic { !wants -> wants = true }
#ifdef OTHER
  :: atomic { !wants_other -> wants_other = true }
#endif
#ifdef ANY_ORDER
  :: atomic { listed && other -> listed = false; heard = true }        /* a request comes that was sent before a later one */
#endif
  :: atomic { !asked ->
       asked = true; asked_left = TERM;
       e = epoch; b = begin; d = done; g = grants; a_settled = settled; last = seq; h = held; is_known = false;
       if
       :: (wants || wants_other) && here == epoch ->
          if :: wants -> listed = true :: else fi;
          if :: wants_other -> other = true :: else fi;
          listed_pos = pos; heard = true; is_known = NAMED
       :: else
       fi }
  :: atomic { asked ->
       if
       :: e != here ->
          here = e; pos = last; begun_at = last; held_here = false; drop(); left = 0; known = false
       :: e == here && last > pos -> pos = last; held_here = h; drop()
       :: else
       fi;
       if :: !is_known -> known = false :: else fi;
       if
       :: !g -> left = 0
       :: g && known && known_begin < d && known_left > left && FROM_THE_START -> left = known_left
       :: else
       fi;
       if
       :: is_known -> known = true; known_begin = b; known_left = asked_left
       :: true
       fi;
       if :: !known || known_left == 0 -> known = false; known_begin = 0; known_left = 0 :: else fi;
       asked = false; asked_left = 0; e = 0; b = 0; d = 0; g = false; a_settled = 0; last = 0; h = false; is_known = false;
       current() }
  od
}

active proctype Filler() {
  unsigned e : 2; unsigned version : 2;
end:
  do
  :: atomic { here > 0 && !copy -> e = here; touched = false }
     atomic { version = visible }
     atomic {
       if
       :: e == here && !touched && !IS_HELD -> copy = true; copy_version = version; current()
       :: else
       fi;
       e = 0; version = 0 }
  od
}

init { atomic { run Sequencer(1); run Sequencer(2) } }
