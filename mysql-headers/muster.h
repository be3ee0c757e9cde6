/* Everything that `plugin/src/ffi/bindings.rs` is generated from. */
#include "muster_common.h"
#include "muster_maria.h"
#include "muster_mysql.h"
#include "muster_sql.h"
