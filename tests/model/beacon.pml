/* The beacon protocol: one key, one shard, a process with copies of its own, and everything that may fail.

   What is checked: no answer is older than what is proven of it. Time is the number of states that the row had
   (`visible`): a proof record keeps that number as it was when its request was sent, and what is served under the
   record must not be older. Version v is the row after its v-th change: absent before the first, inserted by odd ones,
   deleted by even ones. Every guard that a run may switch off is a macro; see docs/model.md.                        */

#ifndef COMMITS
#define COMMITS 1      /* changes of the row */
#endif
#ifndef BEACONS
#define BEACONS 1
#endif
#ifndef FILLS
#define FILLS 1        /* leases that each filler takes */
#endif
#ifndef FILLERS
#define FILLERS 1      /* the second is another process, without copies */
#endif
#ifndef EPOCHS
#define EPOCHS 1       /* that sequencers may open, the first included */
#endif
#ifndef FAILOVERS
#define FAILOVERS 0    /* 1: a replica, at any moment as the primary was at some moment before, may be promoted */
#endif
#ifndef TRIMS
#define TRIMS 0        /* entries that the stream may lose */
#endif
#ifndef SEQUENCERS
#define SEQUENCERS 1   /* the second takes the slot from the first, which does not know */
#endif
#ifndef PROMOTIONS
#define PROMOTIONS 0   /* of the database, with the loss of a commit */
#endif

#define STATES (COMMITS + PROMOTIONS)
#define ENTRIES (COMMITS + BEACONS + 2)
#define MESSAGE 16     /* log entries below it are changes, others 16 + 4 epoch + number of a beacon */

/* Defences, each a condition that holds where it is in place. */
#ifdef NO_GATE
#define GATE(v) true
#else
#define GATE(v) (visible >= (v))                     /* invalidate what is visible */
#endif
#ifdef PASS_PARKED
#define MAY_PASS true
#else
#define MAY_PASS (parked > sampled)                  /* a beacon waits for what its snapshot sees */
#endif
#ifdef NO_FENCE
#define FENCED false
#else
#define FENCED (S[at].epoch != mine)                 /* scripts compare the epoch */
#endif
#ifdef NO_LEASE
#define HELD(s) true
#else
#ifdef TOK_ROLL
#define HELD(s) (S[s].kind == LEASE && S[s].bytes == token)
#else
#define HELD(s) (S[s].kind == LEASE && S[s].under == epoch && S[s].bytes == token)
#endif
#endif
#ifdef NO_FILLEP
#define SAME_EPOCH true
#else
#define SAME_EPOCH (epoch == copies_epoch && at_epoch == copies_epoch)
#endif
#ifdef NO_POSCHK
#define NOT_BEHIND true
#else
#define NOT_BEHIND (seq >= copies_pos)
#endif
#ifdef NO_L1GEN
#define UNTOUCHED true
#else
#define UNTOUCHED (!touched[me])
#endif
#ifdef NO_CONNBIND
#define RECORDS 1
#define RECORD(who) 0
#else
#ifdef BY_SERVER
#define RECORDS 2
#define RECORD(who) at                               /* of one server, over whatever connection */
#else
#define RECORDS 3
#define RECORD(who) (who)                            /* of one connection */
#endif
#endif
#ifdef NO_EPOCH
#define MINE_IF_READABLE(e) true
#else
#define MINE_IF_READABLE(e) (under == (e))           /* what bears another epoch is a miss */
#endif

#ifdef RETURNS
#define MAY_MOVE(at) promoted                        /* to and fro between the primaries */
#else
#define MAY_MOVE(at) (promoted && at == 0)
#endif

#define NOTHING 0
#define LEASE 1
#define VALUE 2

typedef Server {
  unsigned epoch : 3; unsigned begin : 3; unsigned done : 3; unsigned seq : 3;
  unsigned first : 3;                                /* oldest entry that the stream has */
  unsigned kind : 2; unsigned under : 3;             /* what the key holds, and of which epoch */
  unsigned bytes : 3;                                /* version, or token of the lease */
  byte entry[ENTRIES];                                /* 0 invalidates, n says that beacon n is done */
};
typedef Record { bool is; unsigned epoch : 3; unsigned begun : 3; unsigned sent : 3; };

Server S[2];                                         /* 0 the primary, 1 its replica */
Record R[RECORDS];
bool promoted;
unsigned visible : 3; unsigned committed : 3;        /* states of the row that all see; that the log has */
byte log[COMMITS + BEACONS]; unsigned length : 4;
unsigned beacons : 3; unsigned epochs : 3 = 1; unsigned trims : 3;
unsigned acknowledged : 4; unsigned cut : 4;         /* of the log by the owner of the slot; where the first lost it */
bit owner; bool lost;                                /* the database was promoted, and no epoch opened since */

bool copy; unsigned copy_version : 3;                /* the copy in the process */
unsigned copies_epoch : 3 = 1; unsigned copies_pos : 3;
unsigned fresh : 3;                                  /* 1 + the state from which on copies are proven; 0 never */
bool touched[2];                                     /* since a filler looked: a generation counter that it keeps */

inline proven() { assert(!copy || copy_version + 1 >= fresh) }
inline flush() { copy = false; touched[0] = true; touched[1] = true }
inline keep(version) {
  if
  :: SAME_EPOCH && NOT_BEHIND && UNTOUCHED -> copy = true; copy_version = version; proven()
  :: else
  fi
}
inline remember(who, e, c) {                         /* one record is kept, any one */
  if
  :: R[RECORD(who)].is -> skip
  :: R[RECORD(who)].is = true; R[RECORD(who)].epoch = e; R[RECORD(who)].begun = c; R[RECORD(who)].sent = sent
  fi
}
inline reconnect(who, where) {
  where = 1 - where;
#if !defined(NO_CONNBIND) && !defined(BY_SERVER)
  R[RECORD(who)].is = false; R[RECORD(who)].epoch = 0; R[RECORD(who)].begun = 0; R[RECORD(who)].sent = 0
#endif
}

active proctype Writer() {
  unsigned changes : 2; unsigned promotions : 1;
  do
  :: atomic { changes < COMMITS && !lost -> changes++; committed++; log[length] = committed; length++ }
     atomic { visible = committed }
#if PROMOTIONS
  :: atomic { committed < STATES && !lost && promotions < PROMOTIONS -> promotions++; committed++; visible = committed; lost = true }
#endif
  od
}

proctype Sequencer(bit me) {
  unsigned mine : 3 = 1; bit at; unsigned pos : 4; unsigned parked : 3;
  unsigned n : 2; bool emitted; unsigned sampled : 3; unsigned finished : 2; byte entry;
  if
  :: me == 0
  :: me == 1 -> atomic { owner = 1; cut = length; pos = acknowledged; mine = 0; goto open }
  fi;
loop:
  do
  :: atomic { !parked && !finished && pos < length && (owner == me || pos < cut) && !lost ->
       entry = log[pos]; pos++;
       if
       :: entry < MESSAGE -> parked = entry;
#ifdef NO_NEGATIVE
          if :: parked % 2 == 1 -> parked = 0 :: else fi
#endif
#ifdef NO_DELETE
          if :: parked % 2 == 0 -> parked = 0 :: else fi
#endif
       :: entry == MESSAGE + 4 * mine + n && n > 0 -> finished = n
#ifdef NO_MSGEPOCH
       :: entry >= MESSAGE && entry % 4 == n && n > 0 -> finished = n
#endif
       :: else
       fi;
       entry = 0;
#ifdef ACK_EARLY
       if :: owner == me -> acknowledged = pos :: else fi
#else
       if :: owner == me && !parked -> acknowledged = pos :: else fi
#endif
     }
  /* The log is read on while a change is parked: a beacon may pass it whose snapshot does not see it. */
  :: atomic { parked && !finished && pos < length && log[pos] == MESSAGE + 4 * mine + n && n > 0 && !lost &&
              MAY_PASS && (owner == me || pos < cut) -> pos++; finished = n }
  :: atomic { parked && GATE(parked) ->
       if
       :: FENCED -> goto dead
       :: else -> S[at].seq++; S[at].entry[S[at].seq] = 0; S[at].kind = NOTHING; S[at].under = 0; S[at].bytes = 0
       fi;
       parked = 0;
       if :: owner == me -> acknowledged = pos :: else fi }
#ifdef SAMPLE_FIRST
  :: atomic { !n && !emitted && beacons < BEACONS && length < COMMITS + BEACONS && S[at].epoch == mine ->
       log[length] = MESSAGE + 4 * mine + S[at].begin + 1; length++; emitted = true; sampled = visible; beacons++ }
  :: atomic { !n && emitted -> if :: FENCED -> goto dead :: else -> S[at].begin++; n = S[at].begin fi }
#else
  :: atomic { !n && beacons < BEACONS ->
       if :: FENCED -> goto dead :: else -> beacons++; S[at].begin++; n = S[at].begin fi }
  :: atomic { n && !emitted && length < COMMITS + BEACONS ->
       log[length] = MESSAGE + 4 * mine + n; length++; emitted = true; sampled = visible }
#endif
  :: atomic { finished ->
       if
       :: FENCED -> goto dead
       :: else -> S[at].done = finished; S[at].seq++; S[at].entry[S[at].seq] = finished
       fi;
       finished = 0; n = 0; emitted = false; sampled = 0 }
#if EPOCHS > 1
  :: epochs < EPOCHS && owner == me && (promoted || lost || FAILOVERS == 0) -> goto open
#endif
  od;
open:                                                /* every connection opens an epoch */
  atomic { epochs < EPOCHS ->
       epochs++;
       if
       :: true
       :: promoted -> at = 1
       fi;
       if
#ifdef DROP_PARKED
       :: true -> parked = 0
#endif
       :: parked && visible >= parked -> parked = 0  /* the epoch does what its invalidation would do */
       :: else
       fi;
       if :: owner == me && !parked -> acknowledged = pos :: else fi;
       n = 0; emitted = false; sampled = 0; finished = 0;
#ifdef NO_EPOCH
       mine = S[at].epoch;
#else
#ifdef NO_TIMELINE
       if
       :: lost && S[at].epoch == mine -> lost = false; goto loop
       :: else
       fi;
#endif
       mine = epochs; S[at].epoch = mine; S[at].begin = 0; S[at].done = 0; S[at].seq = 0; S[at].first = 1;
#endif
       lost = false }
  goto loop;
dead:
  skip
}

#ifndef NO_COPIES
active proctype Stream() {                           /* feeds the copies of the process */
  bit at; bool reply; unsigned epoch : 3; unsigned begun : 3; unsigned entry : 2; unsigned sent : 3;
  unsigned kind : 3; unsigned first : 3;
  do
#if FAILOVERS
  :: atomic { !reply && MAY_MOVE(at) -> reconnect(0, at) }
#endif
  :: atomic { !reply ->
       epoch = S[at].epoch; begun = S[at].begin; sent = visible; first = S[at].first;
       if
       :: epoch != copies_epoch -> kind = 1
       :: else ->
          if
          :: copies_pos > S[at].seq -> kind = 2
          :: copies_pos + 1 < first -> kind = 3
          :: copies_pos < S[at].seq && copies_pos + 1 >= first -> kind = 4; entry = S[at].entry[copies_pos + 1]
          :: copies_pos == S[at].seq && copies_pos + 1 >= first -> kind = 0
          fi
       fi;
       reply = true }
  :: atomic { reply ->
       if
       :: kind == 1 -> flush(); copies_epoch = epoch; copies_pos = 0; fresh = 0
       :: kind == 2 -> flush(); copies_pos = first - 1;
#ifndef KEEP_FRESH
          fresh = 0
#endif
       :: kind == 3 -> copies_pos = first - 1;
#ifndef NO_GAP
          flush()
#endif
       :: kind == 4 && entry == 0 -> copies_pos++; flush()
       :: kind == 4 && entry > 0 -> copies_pos++;
          if
          :: R[RECORD(0)].is && R[RECORD(0)].epoch == epoch && R[RECORD(0)].begun < entry ->
             if :: R[RECORD(0)].sent + 1 > fresh -> fresh = R[RECORD(0)].sent + 1 :: else fi;
             proven()
          :: else
          fi
       :: kind == 0
       fi;
       remember(0, epoch, begun);
       reply = false; epoch = 0; begun = 0; entry = 0; sent = 0; kind = 0; first = 0 }
  od
}
#endif

proctype Filler(bit me) {                            /* reads through the shared tier, and fills it */
  bit at; unsigned epoch : 3; unsigned begun : 3; unsigned done : 3; unsigned sent : 3; unsigned seq : 3;
  unsigned at_epoch : 3; unsigned kind : 2; unsigned under : 3; unsigned bytes : 3; unsigned version : 3;
  unsigned fills : 2; unsigned token : 3;
look:
  do
#if FAILOVERS
  :: atomic { MAY_MOVE(at) -> reconnect(1 + me, at) }
#endif
  :: atomic {
       epoch = S[at].epoch; at_epoch = epoch; begun = S[at].begin; done = S[at].done; seq = S[at].seq;
       kind = S[at].kind; under = S[at].under; bytes = S[at].bytes; sent = visible; touched[me] = false }
     atomic {
       if
       :: kind == VALUE && MINE_IF_READABLE(epoch) ->
          if
          :: R[RECORD(1 + me)].is && R[RECORD(1 + me)].epoch == epoch && R[RECORD(1 + me)].begun < done ->
             assert(bytes >= R[RECORD(1 + me)].sent)
          :: else
          fi;
          if :: me == 0 -> keep(bytes) :: else fi;
          version = 1
       :: else -> version = 0
       fi;
       remember(1 + me, epoch, begun);
       begun = 0; done = 0; sent = 0; seq = 0;
       if
       :: version == 0 && fills < FILLS && epoch > 0 && !(kind == LEASE && under == epoch) -> version = 0; break
       :: else -> version = 0; epoch = 0; at_epoch = 0; kind = 0; under = 0; bytes = 0
       fi }
  od;
  do
#if FAILOVERS
  :: atomic { MAY_MOVE(at) -> reconnect(1 + me, at) }
#endif
  :: atomic {                                        /* compare and set: what was seen, or nothing */
       token = 1 + 2 * fills + me;
#ifdef TOK_ROLL
       token = 1;
#endif
       fills++;
       if
       :: S[at].kind == NOTHING || (S[at].kind == kind && S[at].under == under && S[at].bytes == bytes) ->
          S[at].kind = LEASE; S[at].under = epoch; S[at].bytes = token; kind = 0; under = 0; bytes = 0; break
       :: else -> token = 0; kind = 0; under = 0; bytes = 0; epoch = 0; at_epoch = 0; goto look
       fi }
  od;
  atomic { version = visible };                      /* the database is asked */
  do
#if FAILOVERS
  :: atomic { MAY_MOVE(at) -> reconnect(1 + me, at) }
#endif
  :: atomic {
       if
       :: HELD(at) ->
#ifdef TOK_ROLL
          S[at].under = S[at].epoch;
#else
          S[at].under = epoch;
#endif
          S[at].kind = VALUE; S[at].bytes = version; seq = S[at].seq; at_epoch = S[at].epoch; token = 0; break
       :: else -> token = 0; epoch = 0; at_epoch = 0; version = 0; goto look
       fi }
  od;
  atomic {
    if :: me == 0 -> keep(version) :: else fi;
    version = 0; epoch = 0; at_epoch = 0; seq = 0; goto look }
}

#if FAILOVERS || TRIMS
active proctype Faults() {
  byte i; bool copied;
  do
#if FAILOVERS
  :: atomic { !promoted && !copied -> copied = true; d_step {   /* earlier ones would be overwritten unseen */
       S[1].epoch = S[0].epoch; S[1].begin = S[0].begin; S[1].done = S[0].done; S[1].seq = S[0].seq;
       S[1].first = S[0].first; S[1].kind = S[0].kind; S[1].under = S[0].under; S[1].bytes = S[0].bytes;
       do
       :: i < ENTRIES -> S[1].entry[i] = S[0].entry[i]; i++
       :: else -> break
       od;
       i = 0 } }
  :: atomic { !promoted -> promoted = true }
#endif
#if TRIMS
  :: atomic { trims < TRIMS && S[0].first <= S[0].seq -> S[0].first++; trims++ }
#endif
  od
}
#endif

init {
  atomic {
    S[0].epoch = 1; S[0].first = 1; S[1].first = 1;
    run Sequencer(0); run Filler(0);
#if SEQUENCERS > 1
    run Sequencer(1);
#endif
#if FILLERS > 1
    run Filler(1)
#endif
  }
}
