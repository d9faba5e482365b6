# Makes a cluster, starts it, and removes it as soon as nobody uses it any more. Runs as the owner of the cluster.
#
#   sh -c SCRIPT watchdog DIRECTORY GRACE_SECONDS PG_CTL COMMAND_THAT_MAKES_THE_DATA [ARGUMENTS]
#
# Locks in the directory: 'users' is held (shared) by everybody who uses the cluster, 'watched' by this script for all its
# life, 'lock' by whoever starts or removes the cluster. The kernel frees a lock with its holder, however that ended.
# Every program is started without the descriptors of the locks; otherwise PostgreSQL would hold them too.

directory=$1 grace=$2 pg_ctl=$3
shift 3
cd "$directory" || exit 1
exec 6<lock 7>watched 8<users 2>>log
flock -n 7 || exit 1

if "$@" >>log </dev/null 6>&- 7>&- 8>&- &&
    cat settings >>data/postgresql.conf &&
    { [ ! -e access ] || cp access data/pg_hba.conf; } &&
    "$pg_ctl" start -D data -l log -w -t 120 >>log </dev/null 6>&- 7>&- 8>&-
then
    : >ready
    echo ready
else
    # Whoever waits for this line holds 'users' and 'lock', and reads the log before anything else happens.
    echo failed
    grace=0
fi
exec >/dev/null

while :; do
    flock -x 8
    flock -u 8
    sleep "$grace"
    flock -x 6
    flock -n -x 8 && break
    flock -u 6
done

[ ! -e data/postmaster.pid ] || "$pg_ctl" stop -D data -m immediate -w -t 60 >>log </dev/null 6>&- 7>&- 8>&-
cd /
# At once and as a whole: who comes now finds nothing and makes a new cluster, in which nothing must be deleted.
mv "$directory" "$directory-$$"
rm -rf "$directory-$$"
