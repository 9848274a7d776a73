#!/usr/bin/env bash
# A private SLURM on this machine, for tests: the real slurmctld, slurmd and slurmdbd, with MariaDB behind sacct, which
# tells submitit of jobs that were killed. All of it lies in DIR: nothing in /etc, no systemd, no munge, no cgroups.
#   slurm.sh up DIR PORT    install what is missing, start on PORT to PORT+3; then: export SLURM_CONF=DIR/slurm.conf
#   slurm.sh down DIR       end what was started there, its jobs included
set -euo pipefail

usage="usage: $0 up DIR PORT | down DIR"
verb=${1:?$usage}
dir=$(realpath -m "${2:?$usage}")
host=$(hostname -s)
user=$(id -un)
export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin # where Debian keeps daemons

packages="slurmctld slurmd slurm-client slurmdbd mariadb-server" # Debian's
programs="slurmctld slurmd slurmdbd sbatch mariadbd mariadb-install-db mariadb mariadb-admin"

install_missing() {
  local program missing=
  for program in $programs; do command -v "$program" >/dev/null || missing+=" $program"; done
  [ -n "$missing" ] || return 0
  if [ "$user" != root ] || ! command -v apt-get >/dev/null; then
    echo "these programs are missing:$missing; on Debian or Ubuntu let root run: apt-get install $packages" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((--tries < 0)); then
      echo "given up waiting for: $*" >&2
      tail -n 5 "$dir"/log/* >&2
      exit 1
    fi
    sleep 0.1
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
idle() { [ "$(timeout 5 sinfo --noheader --Node --format %T)" = idle ]; }

start_database() {
  mariadb-install-db --no-defaults --user="$user" --datadir="$dir/db" --auth-root-authentication-method=normal \
    --skip-test-db >"$dir/log/db-install.log" 2>&1
  mariadbd --no-defaults --user="$user" --datadir="$dir/db" --socket="$dir/db.sock" --pid-file="$dir/mariadbd.pid" \
    --port="$1" --bind-address=127.0.0.1 --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0 </dev/null >"$dir/log/mariadbd.log" 2>&1 &
  wait_for 30 mariadb-admin --no-defaults --user=root --socket="$dir/db.sock" ping
  mariadb --no-defaults --user=root --socket="$dir/db.sock" --execute "
    create database slurm_acct_db;
    create user slurm@localhost identified by 'slurm';
    grant all on slurm_acct_db.* to slurm@localhost"
}

start_accounting() {
  (umask 077 && cat >"$dir/slurmdbd.conf") <<END
AuthType=auth/none
SlurmUser=$user
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$1
LogFile=$dir/log/slurmdbd.log
PidFile=$dir/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$2
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
END
  slurmdbd
  wait_for 30 listens "$1"
  timeout 30 sacctmgr --immediate --quiet add cluster private >/dev/null
}

# The node claims more memory than there may be, so that a launcher's defaults fit, and one GPU, which is none.
configure() {
  cat >"$SLURM_CONF" <<END
AuthType=auth/none
CredType=cred/none
SlurmUser=$user
SlurmdUser=$user
ClusterName=private
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$3
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 Port=$2 CPUs=4 RealMemory=100000 Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=1000
END
  echo "Name=gpu File=/dev/null" >"$dir/gres.conf"
}

up() {
  local port=${1:?$usage}
  install_missing
  mkdir -p "$dir"/{state,spool,log}
  configure "$port" $((port + 1)) $((port + 2))
  start_database $((port + 3))
  start_accounting $((port + 2)) $((port + 3))
  slurmctld -i
  slurmd
  wait_for 30 idle
}

# stop PROGRAM: the one whose pid it has written here, and no other process that has got this pid since.
stop() {
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 0
  [ "$(ps -o comm= -p "$pid")" = "$1" ] || return 0
  kill "$pid"
  for _ in $(seq 150); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid"
}

down() {
  timeout 10 squeue --noheader --format %A | sort -u | xargs --no-run-if-empty timeout 10 scancel || true
  for program in slurmd slurmctld slurmdbd mariadbd; do stop "$program" & done
  wait
}

case $verb in
up) up "${3:-}" ;;
down) down ;;
*) echo "$usage" >&2 && exit 2 ;;
esac
