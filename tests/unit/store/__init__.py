from sqlalchemy.exc import OperationalError

FULL = OperationalError("INSERT", {}, Exception("database or disk is full"))
